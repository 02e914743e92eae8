// A player of Teeworlds 0.7 who does not play, run where the player's computer is:
//
//      node teeworlds-player.ts join PORT      asks the server about itself, joins, and stays until told to stop
//      node teeworlds-player.ts console PORT   logs in at the server's console (TCP) and prints what `status` says
//
// What comes out is one line of JSON.

import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { connect } from 'node:net'
import { createInterface } from 'node:readline'

/** Packets may be lost, and the server may not be up yet. */
const repeatMs = 300
const loopback = '127.0.0.1'
const noToken = 0xffffffff
const ownToken = 0x70656572
const flags = { control: 1, connectionless: 8 }
const controls = { connect: 1, accept: 2, close: 4, token: 5 }
/** Questions are padded, so that an answer is never larger. */
const questionBytes = 512
const askInfo = Buffer.from('\xff\xff\xff\xffgie3', 'latin1')
const info = Buffer.from('\xff\xff\xff\xffinf3', 'latin1')

function control(token: number, kind: number, more: Buffer = Buffer.alloc(0)): Buffer {
  const head = Buffer.alloc(8)
  head[0] = flags.control << 2
  head.writeUInt32BE(token, 3)
  head[7] = kind
  return Buffer.concat([head, more])
}

function ownTokenPadded(): Buffer {
  const bytes = Buffer.alloc(questionBytes - 1)
  bytes.writeUInt32BE(ownToken)
  return bytes
}

function question(token: number): Buffer {
  const head = Buffer.alloc(9)
  head[0] = (flags.connectionless << 2) | 1
  head.writeUInt32BE(token, 1)
  head.writeUInt32BE(ownToken, 5)
  return Buffer.concat([head, askInfo, Buffer.of(1)])
}

function isControl(bytes: Buffer, kind: number): boolean {
  return (bytes[0] ?? 0) >> 2 === flags.control && bytes.readUInt32BE(3) === ownToken && bytes[7] === kind
}

async function join(port: number): Promise<void> {
  const socket = createSocket('udp4')
  socket.bind(0, loopback)
  await once(socket, 'listening')
  const ask = async (bytes: Buffer, fits: (answer: Buffer) => boolean): Promise<Buffer> => {
    const send = () => socket.send(bytes, port, loopback)
    const timer = setInterval(send, repeatMs)
    send()
    for (;;) {
      const [answer] = (await once(socket, 'message')) as [Buffer]
      if (answer.length < 8 || !fits(answer)) continue
      clearInterval(timer)
      return answer
    }
  }
  const granted = await ask(control(noToken, controls.token, ownTokenPadded()), (answer) =>
    isControl(answer, controls.token),
  )
  const token = granted.readUInt32BE(8)
  const told = await ask(question(token), (answer) => answer.subarray(9, 17).equals(info))
  const [version, name, , map, mode] = told.subarray(18).toString('utf8').split('\0')
  await ask(control(token, controls.connect, ownTokenPadded()), (answer) =>
    isControl(answer, controls.accept),
  )
  console.log(JSON.stringify({ version, name, map, mode }))
  await once(process.stdin.resume(), 'end')
  socket.send(control(token, controls.close), port, loopback, () => socket.close())
}

async function readConsole(port: number): Promise<void> {
  const socket = connect(port, loopback)
  const players: string[] = []
  for await (const line of createInterface({ input: socket })) {
    if (/Enter password/.test(line)) socket.write('secret\n')
    else if (/Authentication successful/.test(line)) socket.write('status\necho end-of-list\n')
    else if (/end-of-list$/.test(line) && !/cmd=/.test(line)) break
    const [, address] = /id=\d+ addr=(\S+)/.exec(line) ?? []
    if (address) players.push(address)
  }
  socket.destroy()
  console.log(JSON.stringify({ players }))
}

const [what, port] = process.argv.slice(2)
await (what === 'join' ? join(Number(port)) : readConsole(Number(port)))
