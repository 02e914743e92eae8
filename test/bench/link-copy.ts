// A relay that only copies: what comes to its port from anybody goes on to the next, and back. Option: the next port as
// JSON in the first argument.

import { createSocket } from 'node:dgram'
import { tellParent } from './child.ts'

const next = JSON.parse(process.argv[2] ?? '') as number
const lookup = (
  address: string,
  _options: unknown,
  done: (error: null, address: string, family: number) => void,
) => done(null, address, 4)
const [here, there] = [createSocket({ type: 'udp4', lookup }), createSocket({ type: 'udp4', lookup })]
let client = 0
here.on('message', (bytes, { port }) => {
  client = port
  there.send(bytes, next, '127.0.0.1')
})
there.on('message', (bytes) => here.send(bytes, client, '127.0.0.1'))
there.bind(0, '127.0.0.1')
here.bind(0, '127.0.0.1', () => tellParent({ event: 'ready', port: here.address().port }))
process.stdin.resume().on('end', () => process.exit(0))
