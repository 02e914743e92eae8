import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { EventStreams } from '../../src/api/event-stream.ts'
import { EventLog, mostCharacters, mostEvents } from '../../src/daemon/event-log.ts'
import { VirtualClock } from '../harness/virtual-clock.ts'

test('whatever was added, what is kept is the latest, in order, within the bounds, and the rest is counted as missed', () => {
  const step = fc.record({
    size: fc.oneof(fc.nat(40), fc.integer({ min: 0, max: 60_000 })),
    times: fc.nat(60),
  })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 20 }), fc.nat(1_500), fc.nat(300), (steps, from, limit) => {
      const log = new EventLog('run')
      const all: string[] = []
      for (const { size, times } of steps) {
        for (let i = 0; i < times; i++) {
          const told = { event: 'notice', number: all.length + 1, notice: 'x'.repeat(size) }
          log.add(told)
          all.push(JSON.stringify(told))
        }
      }
      const kept = log.after(0, Number.POSITIVE_INFINITY).events
      assert.ok(kept.length <= mostEvents)
      assert.ok(kept.reduce((sum, { json }) => sum + json.length, 0) <= mostCharacters)
      assert.deepEqual(
        kept.map(({ json }) => json),
        all.slice(all.length - kept.length),
      )
      if (kept.length < Math.min(all.length, mostEvents)) {
        const next = all[all.length - kept.length - 1] ?? ''
        const total = kept.reduce((sum, { json }) => sum + json.length, next.length)
        assert.ok(total > mostCharacters, 'no more than needed is forgotten')
      }
      const place = Math.min(from, all.length)
      const { events, missed } = log.after(place, limit)
      const oldest = all.length - kept.length + 1
      assert.equal(missed, Math.max(0, oldest - 1 - place))
      assert.equal(events.length, Math.min(limit, all.length - Math.max(place, oldest - 1)))
      for (const [i, { number }] of events.entries()) assert.equal(number, Math.max(place + 1, oldest) + i)
    }),
    { numRuns: 150 },
  )
})

test('a place is understood by the run that gave it and means the beginning to any other, whatever is sent', () => {
  const log = new EventLog('abc')
  for (let i = 0; i < 5; i++) log.add({ event: 'waiting' })
  assert.equal(log.numberAt(log.placeOf(3)), 3)
  for (const odd of [undefined, '', '3', 'abd-3', 'abc-6', 'abc--1', 'abc-1e1', 'abc-99999999999999999']) {
    assert.equal(log.numberAt(odd), 0, odd)
  }
  fc.assert(fc.property(fc.string(), (text) => log.numberAt(text) >= 0 && log.numberAt(text) <= 5))
})

function streamsOf(log: EventLog, clock = new VirtualClock()) {
  return new EventStreams({ clock, log, describe: () => ({ tone: 'plain', text: 'words' }) })
}

async function read(reader: ReadableStreamDefaultReader<Uint8Array>): Promise<string> {
  return new TextDecoder().decode((await reader.read()).value)
}

test('a stream sends what is kept after the place, then what comes', async () => {
  const log = new EventLog('run')
  for (const number of [1, 2, 3]) log.add({ event: 'notice', number })
  const streams = streamsOf(log)
  const reader = streams.open('run-1', false)?.getReader()
  assert.ok(reader)
  assert.equal(await read(reader), 'retry: 2000\n\n')
  assert.equal(
    await read(reader),
    'id: run-2\ndata: {"event":"notice","number":2}\n\nid: run-3\ndata: {"event":"notice","number":3}\n\n',
  )
  const next = read(reader)
  log.add({ event: 'notice', number: 4 })
  assert.equal(await next, 'id: run-4\ndata: {"event":"notice","number":4}\n\n')
  streams.close()
})

test('a reader that fell behind is told how many it missed, and no events wait for it', async () => {
  const log = new EventLog('run')
  const streams = streamsOf(log)
  const reader = streams.open(undefined, false)?.getReader()
  assert.ok(reader)
  await read(reader)
  for (let i = 0; i < 1_000; i++) log.add({ event: 'waiting', at: 'now' })
  // One batch may have been read ahead.
  const texts = [await read(reader), await read(reader), await read(reader)].join('')
  assert.match(texts, /data: \{"event":"missed","at":"now","count":7\d\d\}/)
  streams.close()
})

test('in silence a heartbeat comes every 15 s, and words come to those who want them', async () => {
  const clock = new VirtualClock()
  const log = new EventLog('run')
  const streams = streamsOf(log, clock)
  const reader = streams.open(undefined, true)?.getReader()
  assert.ok(reader)
  await read(reader)
  const beat = read(reader)
  await new Promise((resolve) => setImmediate(resolve))
  await clock.advance(15_000)
  assert.equal(await beat, ':\n\n')
  const next = read(reader)
  log.add({ event: 'waiting' })
  assert.match(await next, /"words":\{"tone":"plain","text":"words"\}/)
  streams.close()
})

test('sixteen streams are open at most, and one that ends makes room', async () => {
  const streams = streamsOf(new EventLog('run'))
  const open = Array.from({ length: 16 }, () => streams.open(undefined, false))
  assert.ok(open.every((stream) => stream !== null))
  assert.equal(streams.open(undefined, false), null)
  await open[3]?.cancel()
  assert.ok(streams.open(undefined, false))
  streams.close()
  assert.equal(streams.open(undefined, false), null)
})
