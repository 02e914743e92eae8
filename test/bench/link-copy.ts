// A relay that only copies: what comes to one of its ports from anybody goes on to the next that belongs to it, and back.
// Options: the next ports as JSON in the first argument.

import { createSocket } from 'node:dgram'
import { tellParent } from './child.ts'

const lookup = (
  address: string,
  _options: unknown,
  done: (error: null, address: string, family: number) => void,
) => done(null, address, 4)

async function copyTo(next: number): Promise<number> {
  const [here, there] = [createSocket({ type: 'udp4', lookup }), createSocket({ type: 'udp4', lookup })]
  let client = 0
  here.on('message', (bytes, { port }) => {
    client = port
    there.send(bytes, next, '127.0.0.1')
  })
  there.on('message', (bytes) => here.send(bytes, client, '127.0.0.1'))
  there.bind(0, '127.0.0.1')
  await new Promise<void>((resolve) => here.bind(0, '127.0.0.1', resolve))
  return here.address().port
}

process.stdin.resume().on('end', () => process.exit(0))
const ports = await Promise.all((JSON.parse(process.argv[2] ?? '') as number[]).map(copyTo))
tellParent({ event: 'ready', ports })
