// Two relays whose pipes are connected to each other.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Pipe, UdxRelay } from '../../src/forward/streams/udx-relay.ts'

const totalBytes = 1024 * 1024

test('acknowledgements of one turn are relayed as one, and all bytes arrive', async () => {
  let next = 1
  const open = () => UdxRelay.open(() => next++)
  const [near, far] = [await open(), await open()]
  try {
    let [data, acknowledgements, arrived] = [0, 0, 0]
    const options = { maxBytesAhead: () => 2 * totalBytes, onDrain: () => {} }
    const broken = () => assert.fail('the pipe was lost')
    const ends: { sender?: Pipe; receiver?: Pipe } = {}
    ends.sender = near.createPipe({
      ...options,
      ownSeq: 7,
      peerSeq: 9,
      onData: () => {},
      onLost: broken,
      onPacket: (packet) => {
        data++
        ends.receiver?.receive(packet)
      },
    })
    ends.receiver = far.createPipe({
      ...options,
      ownSeq: 9,
      peerSeq: 7,
      onLost: broken,
      onData: (bytes) => {
        arrived += bytes.length
      },
      onPacket: (packet) => {
        acknowledgements++
        ends.sender?.receive(packet)
      },
    })
    ends.sender.write(new Uint8Array(totalBytes))
    assert.equal(await ends.sender.flush(), true)
    assert.equal(arrived, totalBytes)
    // udx-native itself acknowledges each data packet.
    assert.ok(acknowledgements < data / 2, `${acknowledgements} for ${data}`)
  } finally {
    await Promise.all([near.close(), far.close()])
  }
})
