import assert from 'node:assert/strict'
import { test } from 'node:test'
import { toHex } from '../../src/base/bytes.ts'
import { Handshake, type HandshakeOptions, type HandshakeStep } from '../../src/link/handshake.ts'
import { PeerPair } from './wire.ts'

function next(handshake: Handshake): Uint8Array {
  const bytes = handshake.next()
  assert.ok(bytes)
  return bytes
}

function answerOf(step: HandshakeStep): Uint8Array {
  assert.equal(step.step, 'answer')
  return step.step === 'answer' ? step.bytes : new Uint8Array()
}

function keysOf(step: HandshakeStep) {
  assert.ok(step.step === 'agreed')
  return step.keys
}

function agree(openerOptions: HandshakeOptions, responderOptions: HandshakeOptions) {
  const opener = new Handshake(openerOptions)
  const responder = new Handshake(responderOptions)
  const opening = next(opener)
  const acceptance = answerOf(responder.handlePacket(opening))
  const openerKeys = keysOf(opener.handlePacket(acceptance))
  const acknowledgement = next(opener)
  const responderKeys = keysOf(responder.handlePacket(acknowledgement))
  return { opener, responder, opening, acceptance, acknowledgement, openerKeys, responderKeys }
}

test('both sides agree on the same keys, one for each direction', () => {
  const pair = new PeerPair(1)
  const { openerKeys, responderKeys } = agree(pair.options('opener'), pair.options('responder'))
  assert.deepEqual(openerKeys.sendKey, responderKeys.receiveKey)
  assert.deepEqual(openerKeys.receiveKey, responderKeys.sendKey)
  assert.notDeepEqual(openerKeys.sendKey, openerKeys.receiveKey)
})

test('two links of the same two sessions share no key', () => {
  const pair = new PeerPair(2)
  const keys = new Set<string>()
  for (let link = 0; link < 20; link++) {
    const { openerKeys } = agree(pair.options('opener'), pair.options('responder'))
    keys.add(toHex(openerKeys.sendKey)).add(toHex(openerKeys.receiveKey))
  }
  assert.equal(keys.size, 40)
})

test('all three packets have the same size, so no answer is larger than its request', () => {
  const pair = new PeerPair(3)
  const { opening, acceptance, acknowledgement } = agree(pair.options('opener'), pair.options('responder'))
  assert.deepEqual([opening.length, acceptance.length, acknowledgement.length], [148, 148, 148])
})

test('a replayed packet is not answered again, but a repetition with a new number is', () => {
  const pair = new PeerPair(4)
  const opener = new Handshake(pair.options('opener'))
  const responder = new Handshake(pair.options('responder'))
  const opening = next(opener)
  answerOf(responder.handlePacket(opening))
  assert.equal(responder.handlePacket(opening).step, 'ignored')
  const acceptance = answerOf(responder.handlePacket(next(opener)))
  keysOf(opener.handlePacket(acceptance))
  assert.equal(opener.handlePacket(acceptance).step, 'ignored')
  const acknowledgement = next(opener)
  keysOf(responder.handlePacket(acknowledgement))
  assert.equal(responder.handlePacket(acknowledgement).step, 'ignored')
  assert.equal(responder.handlePacket(next(opener)).step, 'acknowledged-again')
})

test('a packet reflected to its sender is ignored', () => {
  const pair = new PeerPair(5)
  const { opener, responder, opening, acceptance, acknowledgement } = agree(
    pair.options('opener'),
    pair.options('responder'),
  )
  for (const packet of [opening, acceptance, acknowledgement]) {
    const sender = packet === acceptance ? responder : opener
    assert.equal(sender.handlePacket(packet).step, 'ignored')
  }
  const fresh = new Handshake(pair.options('opener'))
  assert.equal(fresh.handlePacket(next(fresh)).step, 'ignored')
})

test('packets of an earlier link never lead to keys in a later one', () => {
  const pair = new PeerPair(6)
  const earlier = agree(pair.options('opener'), pair.options('responder'))
  const opener = new Handshake(pair.options('opener'))
  const responder = new Handshake(pair.options('responder'))
  next(opener)
  assert.equal(opener.handlePacket(earlier.acceptance).step, 'ignored')
  answerOf(responder.handlePacket(earlier.opening))
  assert.equal(responder.handlePacket(earlier.acknowledgement).step, 'ignored')
  const acceptance = answerOf(responder.handlePacket(next(opener)))
  keysOf(opener.handlePacket(acceptance))
  keysOf(responder.handlePacket(next(opener)))
})

test('a wrong identity, room, session or tag on either side never leads to keys', () => {
  const pair = new PeerPair(7)
  const stranger = pair.crypto.signKeyPair()
  const key = pair.crypto.boxKeyPair().publicKey
  const room = { sendKey: pair.crypto.randomBytes(32), receiveKey: pair.crypto.randomBytes(32) }
  const right = pair.options('opener')
  const wrongOptions: Partial<HandshakeOptions>[] = [
    { identity: stranger },
    { peerId: stranger.publicKey },
    { keys: room },
    { keys: { ...right.keys, sendKey: room.sendKey } },
    { keys: { ...right.keys, receiveKey: room.receiveKey } },
    { sessionKeys: { ...right.sessionKeys, mine: key } },
    { sessionKeys: { ...right.sessionKeys, theirs: key } },
    { tag: new Uint8Array(8) },
  ]
  for (const wrong of wrongOptions) {
    for (const side of ['opener', 'responder'] as const) {
      const opener = new Handshake({ ...pair.options('opener'), ...(side === 'opener' ? wrong : {}) })
      const responder = new Handshake({
        ...pair.options('responder'),
        ...(side === 'responder' ? wrong : {}),
      })
      const accepted = responder.handlePacket(next(opener))
      if (accepted.step !== 'answer') continue
      const agreed = opener.handlePacket(accepted.bytes)
      if (agreed.step === 'agreed')
        assert.equal(responder.handlePacket(next(opener)).step, 'ignored', Object.keys(wrong).join())
    }
  }
})

test('an opener that restarts before the responder agreed is accepted at once', () => {
  const pair = new PeerPair(8)
  const responder = new Handshake(pair.options('responder'))
  answerOf(responder.handlePacket(next(new Handshake(pair.options('opener')))))
  const restarted = new Handshake(pair.options('opener'))
  keysOf(restarted.handlePacket(answerOf(responder.handlePacket(next(restarted)))))
  keysOf(responder.handlePacket(next(restarted)))
})

test('many recorded openings do not keep the true opener out', () => {
  const pair = new PeerPair(9)
  const recorded = Array.from({ length: 10 }, () => next(new Handshake(pair.options('opener'))))
  const responder = new Handshake(pair.options('responder'))
  const opener = new Handshake(pair.options('opener'))
  responder.handlePacket(next(opener))
  for (const opening of recorded) responder.handlePacket(opening)
  keysOf(opener.handlePacket(answerOf(responder.handlePacket(next(opener)))))
  keysOf(responder.handlePacket(next(opener)))
})
