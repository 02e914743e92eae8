// One forwarded connection between a local socket and a pipe, both controlled by the test.

import assert from 'node:assert/strict'
import { Duplex } from 'node:stream'
import { test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import {
  creditRecord,
  initialCreditBytes,
  RecordReader,
  type StreamRecord,
} from '../../src/forward/streams/flow-control-records.ts'
import { ForwardedStream } from '../../src/forward/streams/forwarded-stream.ts'
import type { LocalEnd } from '../../src/forward/streams/memory-duplex.ts'
import { StreamBudget } from '../../src/forward/streams/stream-budget.ts'
import type { PipeOptions } from '../../src/forward/streams/udx-relay.ts'

/** A local socket. The test pushes the data it returns. */
function localEnd(): LocalEnd {
  const end = new Duplex({
    allowHalfOpen: true,
    read: () => {},
    write: (_chunk, _encoding, done) => done(),
  })
  return Object.assign(end, { setNoDelay: () => {}, resetAndDestroy: () => end.destroy() })
}

async function waitTurns(): Promise<void> {
  for (let count = 0; count < 10; count++) await turn()
}

test('an end that comes while the last bytes wait for credit is sent after them', async () => {
  const tcp = localEnd()
  const allowance = new StreamBudget().take('peer')
  assert.ok(allowance)
  const reader = new RecordReader()
  const sent: StreamRecord['kind'][] = []
  let handlers: Pick<PipeOptions, 'onData'> | undefined
  new ForwardedStream({
    tcp,
    allowance,
    createPipe: (given) => {
      handlers = given
      return {
        write: (bytes) => {
          for (const { kind } of reader.read(bytes) ?? []) sent.push(kind)
          return true
        },
        flush: async () => true,
        receive: () => {},
        destroy: () => {},
      }
    },
    onOver: () => {},
  })
  tcp.push(new Uint8Array(initialCreditBytes + 1_000))
  await waitTurns()
  assert.equal(tcp.readableLength, 1_000, 'only as much as the credit allows is read')
  tcp.push(null)
  await waitTurns()
  assert.ok(!sent.includes('end'))
  handlers?.onData(creditRecord(1_000))
  await waitTurns()
  assert.equal(tcp.readableLength, 0)
  assert.equal(sent.at(-1), 'end')
})
