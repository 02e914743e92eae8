// Real sockets in one process: two of them, the address server, the prober, the plan and the punch machine.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Candidate, Endpoint } from '../../src/base/endpoint.ts'
import { createProber, type NatView } from '../../src/nat/nat-prober.ts'
import { isStun } from '../../src/nat/stun-message.ts'
import { hostEndpoints } from '../../src/net/network-interfaces.ts'
import { type Driver, drive } from '../../src/net/protocol-machine-driver.ts'
import { openUdpSocket } from '../../src/net/udp/udp-socket.ts'
import type { CheckKeys } from '../../src/punch/check-packet.ts'
import { createPunch, type Path, type PunchEvent } from '../../src/punch/connectivity-checks.ts'
import { plan } from '../../src/punch/punch-plan.ts'
import { systemClock } from '../../src/runtime/system-clock.ts'
import { startAddressServer } from '../../src/stun-server/stun-server.ts'
import { realCrypto as crypto } from '../harness/seeded-crypto.ts'
import { pairKeys } from '../harness/simulator/world.ts'

async function startPlayer(servers: readonly Endpoint[]) {
  const drivers: Driver<never>[] = []
  let onStun: (bytes: Uint8Array, from: Endpoint) => void = () => {}
  let onCheck = onStun
  const socket = await openUdpSocket({
    family: 4,
    address: '127.0.0.1',
    onDatagram: (bytes, from) => (isStun(bytes) ? onStun : onCheck)(bytes, from),
  })
  const localEndpoints = hostEndpoints([socket.local])
  const send = (bytes: Uint8Array, to: Endpoint) => socket.send(bytes, to)
  const common = { clock: systemClock, send }
  const view = await new Promise<NatView>((resolve) => {
    const machine = createProber({ crypto, servers, localEndpoints, now: systemClock.now() })
    const driver = drive({ ...common, machine, onEvent: resolve })
    onStun = driver.receive.bind(driver)
    drivers.push(driver)
  })
  const candidates = [
    ...localEndpoints.map((endpoint): Candidate => ({ kind: 'host', endpoint })),
    ...view.publicEndpoints.map((endpoint): Candidate => ({ kind: 'server-reflexive', endpoint })),
  ]
  const side = { nat: view.profile, candidates }
  return {
    socket,
    side,
    connectTo: (theirs: typeof side, keys: CheckKeys) =>
      new Promise<Path>((resolve, reject) => {
        const chosenPlan = plan(side, { ...theirs, sameNat: true })
        if (chosenPlan.strategy === 'none') {
          reject(new Error(chosenPlan.reason))
          return
        }
        const onEvent = (event: PunchEvent) => {
          if (event.type === 'path') resolve(event.path)
          else if (event.type === 'failed') reject(new Error(event.reason))
        }
        const { targets, budget } = chosenPlan
        const now = systemClock.now()
        const machine = createPunch({ crypto, keys, targets, budget, sameNat: true, onLoopback: true, now })
        const driver = drive({ ...common, machine, onEvent })
        onCheck = driver.receive.bind(driver)
        drivers.push(driver)
      }),
    close: async () => {
      for (const driver of drivers) driver.stop()
      await socket.close()
    },
  }
}

test('two agents on one computer find their endpoints and each other over real sockets', async () => {
  const listen = [0, 0].map((port) => ({ address: '127.0.0.1', port }))
  const server = await startAddressServer({ listen })
  const [left, right] = [await startPlayer(server.endpoints), await startPlayer(server.endpoints)]
  try {
    assert.equal(left.side.nat.mapping, 'none')
    const keys = pairKeys(1)
    const [there, back] = await Promise.all([
      left.connectTo(right.side, keys.a),
      right.connectTo(left.side, keys.b),
    ])
    assert.deepEqual(there, {
      kind: 'lan',
      remote: right.socket.local,
      local: left.socket.local,
      candidateKind: 'host',
      via: 0,
    })
    assert.deepEqual(back.remote, left.socket.local)
  } finally {
    await Promise.all([left.close(), right.close(), server.close()])
  }
})
