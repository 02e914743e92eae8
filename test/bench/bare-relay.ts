// The baseline of the link benchmarks: a relay that only copies datagrams between each of its ports and the
// next one. Options: the next ports as JSON in the first argument.

import { createSocket } from 'node:dgram'
import { emitToParent } from './child.ts'

const lookup = (
  address: string,
  _options: unknown,
  done: (error: null, address: string, family: number) => void,
) => done(null, address, 4)

async function startRelay(next: number): Promise<number> {
  const [near, far] = [createSocket({ type: 'udp4', lookup }), createSocket({ type: 'udp4', lookup })]
  let client = 0
  near.on('message', (bytes, { port }) => {
    client = port
    far.send(bytes, next, '127.0.0.1')
  })
  far.on('message', (bytes) => near.send(bytes, client, '127.0.0.1'))
  far.bind(0, '127.0.0.1')
  await new Promise<void>((resolve) => near.bind(0, '127.0.0.1', resolve))
  return near.address().port
}

process.stdin.resume().on('end', () => process.exit(0))
const ports = await Promise.all((JSON.parse(process.argv[2] ?? '') as number[]).map(startRelay))
emitToParent({ event: 'ready', ports })
