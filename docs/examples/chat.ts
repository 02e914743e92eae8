// A chat of all who are in a room: everybody opens a stream to everybody, and writes lines to it.
//
//      node chat.ts me/agent.toml

import { createInterface } from 'node:readline'
import type { Writable } from 'node:stream'
import { Agent } from 'peerpost'

const longestLine = 1_000

const agent = new Agent({ config: process.argv[2] ?? 'me/agent.toml' })
const everybody = new Map<string, Writable>()

// What others write is not to move the cursor or ring the bell.
const show = (line: string) => console.log(line.replace(/\p{Cc}/gu, '').slice(0, longestLine))

agent.onStream('chat', (stream, peer) => {
  let begun = ''
  stream.setEncoding('utf8').on('data', (part: string) => {
    const lines = (begun + part).split('\n')
    // Nobody can make us hold more than a line.
    begun = (lines.pop() ?? '').slice(0, longestLine)
    for (const line of lines) show(`${peer.name}: ${line}`)
  })
})

agent.on('connected', async ({ peer }) => {
  try {
    everybody.set(peer.id, await peer.openStream('chat'))
    show(`* ${peer.name} is here`)
  } catch (problem) {
    show(`* ${peer.name} does not chat: ${problem}`)
  }
})
agent.on('disconnected', ({ peer }) => {
  everybody.delete(peer.id)
  show(`* ${peer.name} is gone`)
})
agent.on('failed', ({ peer, reason, advice }) => show(`* no way to ${peer.name}: ${reason} ${advice ?? ''}`))

await agent.start()
show('* write lines; end with Ctrl+D')
const keyboard = createInterface({ input: process.stdin })
keyboard.on('line', (line) => {
  for (const stream of everybody.values()) stream.write(`${line}\n`)
})
keyboard.on('close', () => agent.stop())
