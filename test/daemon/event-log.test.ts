import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { EventStreams } from '../../src/api/event-stream.ts'
import { EventLog, maxCharacters, maxEvents } from '../../src/daemon/event-log.ts'
import { VirtualClock } from '../harness/virtual-clock.ts'

test('the log stores the latest events in order within its limits, and counts the others as missed', () => {
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
          const event = { event: 'notice', number: all.length + 1, notice: 'x'.repeat(size) }
          log.add(event)
          all.push(JSON.stringify(event))
        }
      }
      const kept = log.after(0, Number.POSITIVE_INFINITY).events
      assert.ok(kept.length <= maxEvents)
      assert.ok(kept.reduce((sum, { json }) => sum + json.length, 0) <= maxCharacters)
      assert.deepEqual(
        kept.map(({ json }) => json),
        all.slice(all.length - kept.length),
      )
      if (kept.length < Math.min(all.length, maxEvents)) {
        const next = all[all.length - kept.length - 1] ?? ''
        const total = kept.reduce((sum, { json }) => sum + json.length, next.length)
        assert.ok(total > maxCharacters, 'no more events than needed are removed')
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

test('an event ID is valid in its own run, and any other text means the beginning', () => {
  const log = new EventLog('abc')
  for (let i = 0; i < 5; i++) log.add({ event: 'waiting' })
  assert.equal(log.numberOf(log.idOf(3)), 3)
  for (const odd of [undefined, '', '3', 'abd-3', 'abc-6', 'abc--1', 'abc-1e1', 'abc-99999999999999999']) {
    assert.equal(log.numberOf(odd), 0, odd)
  }
  fc.assert(fc.property(fc.string(), (text) => log.numberOf(text) >= 0 && log.numberOf(text) <= 5))
})

function streamsOf(log: EventLog, clock = new VirtualClock()) {
  return new EventStreams({ clock, log, describe: () => ({ tone: 'plain', text: 'words' }) })
}

async function read(reader: ReadableStreamDefaultReader<Uint8Array>): Promise<string> {
  return new TextDecoder().decode((await reader.read()).value)
}

test('a stream sends the stored events after the given ID, then new ones', async () => {
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

test('a slow reader gets the number of events it missed, and no events are queued for it', async () => {
  const log = new EventLog('run')
  const streams = streamsOf(log)
  const reader = streams.open(undefined, false)?.getReader()
  assert.ok(reader)
  await read(reader)
  for (let i = 0; i < 1_000; i++) log.add({ event: 'waiting', at: 'now' })
  // The stream may have read one batch ahead.
  const texts = [await read(reader), await read(reader), await read(reader)].join('')
  assert.match(texts, /data: \{"event":"missed","at":"now","count":7\d\d\}/)
  streams.close()
})

test('without events a heartbeat comes every 15 s, and words are sent on request', async () => {
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

test('at most sixteen streams are open, and another may open when one ends', async () => {
  const streams = streamsOf(new EventLog('run'))
  const open = Array.from({ length: 16 }, () => streams.open(undefined, false))
  assert.ok(open.every((stream) => stream !== null))
  assert.equal(streams.open(undefined, false), null)
  await open[3]?.cancel()
  assert.ok(streams.open(undefined, false))
  streams.close()
  assert.equal(streams.open(undefined, false), null)
})
