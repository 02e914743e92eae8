// Run in a LAN by port-mapping.test.ts: `map-port.ts PORT LEASE_MS [natpmp ROUTER]`. Opens a UDP port, has the router
// open it too, and prints a JSON line for whatever happens; SIGTERM ends it as an agent is ended.

import { createSocket } from 'node:dgram'
import { RenewedMapping } from '../../src/net/portmap/mapping-renewal.ts'
import { PcpGateway } from '../../src/net/portmap/pcp-gateway.ts'
import { mapPort, type PortMappingOptions } from '../../src/net/portmap/port-mapper.ts'
import { systemClock } from '../../src/runtime/system-clock.ts'
import { realCrypto } from '../harness/seeded-crypto.ts'

const [port = 0, leaseMs = 0] = process.argv.slice(2, 4).map(Number)
const router = process.argv[5]
const tell = (event: string, fields: object = {}) =>
  process.stdout.write(`${JSON.stringify({ event, ...fields })}\n`)
const randomBytes = (length: number) => realCrypto.randomBytes(length)

/** A router that knows no PCP: what is PCP is refused, the rest goes on to a real one. */
function oldRouter(): Promise<number> {
  const relay = createSocket('udp4')
  let asker = { port: 0, address: '' }
  relay.on('message', (bytes, from) => {
    if (from.address === router) relay.send(bytes, asker.port, asker.address)
    else if (bytes[0] === 0) {
      asker = from
      relay.send(bytes, 5351, router)
    } else relay.send(Buffer.from([0, 0x81, 0, 1, 0, 0, 0, 1]), from.port, from.address)
  })
  return new Promise((resolve) => relay.bind(() => resolve(relay.address().port)))
}

async function start(options: PortMappingOptions) {
  if (router === undefined) return mapPort(options)
  const gateway = new PcpGateway({
    router: '127.0.0.1',
    client: '127.0.0.1',
    randomBytes,
    port: await oldRouter(),
  })
  return new RenewedMapping({
    ...options,
    findGateways: async function* () {
      yield gateway
    },
  })
}

const socket = createSocket('udp4')
socket.on('message', (text) => tell('heard', { text: String(text) }))
socket.bind(port)
const startedAt = systemClock.now()
const mapper = await start({
  clock: systemClock,
  randomBytes,
  port,
  leaseMs,
  onChange: (mapping) => tell('change', { mapping }),
})
process.once('SIGTERM', async () => {
  await mapper.close()
  tell('closed')
  process.exit(0)
})
await mapper.settled
tell('settled', { afterMs: Math.round(systemClock.now() - startedAt) })
