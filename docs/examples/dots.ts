// A game of sorts: everybody has a dot that moves and sees those of all others, 60 times a second.
//
//      node dots.ts me/agent.toml

import { Agent } from 'peerpost'

const ticksPerSecond = 60
const dotBytes = 16

type Dot = { x: number; y: number; at: number; heard: number }

const agent = new Agent({ config: process.argv[2] ?? 'me/agent.toml' })
const own = { x: Math.random(), y: Math.random(), dx: 0.3, dy: 0.2 }
const others = new Map<string, Dot>()

agent.onDatagram('dot', (bytes, peer) => {
  if (bytes.length !== dotBytes) return
  const view = new DataView(bytes.buffer, bytes.byteOffset)
  const [x, y, at] = [view.getFloat32(0), view.getFloat32(4), view.getFloat64(8)]
  const known = others.get(peer.id)
  // Datagrams may overtake each other: what is older than what we know tells nothing.
  if (!known || at > known.at) others.set(peer.id, { x, y, at, heard: (known?.heard ?? 0) + 1 })
})
agent.on('connected', ({ peer }) => console.log(`${peer.name} joins`))
agent.on('disconnected', ({ peer }) => {
  others.delete(peer.id)
  console.log(`${peer.name} leaves`)
})

function tick(): void {
  for (const [place, speed] of [
    ['x', 'dx'],
    ['y', 'dy'],
  ] as const) {
    own[place] += own[speed] / ticksPerSecond
    if (own[place] < 0 || own[place] > 1) own[speed] = -own[speed]
  }
  const view = new DataView(new ArrayBuffer(dotBytes))
  view.setFloat32(0, own.x)
  view.setFloat32(4, own.y)
  view.setFloat64(8, Date.now())
  const bytes = new Uint8Array(view.buffer)
  for (const peer of agent.peers) peer.send('dot', bytes)
}

function whoIsWhere(): void {
  const seen = agent.peers.map((peer) => {
    const dot = others.get(peer.id)
    if (!dot) return `${peer.name} unseen`
    const place = `${dot.x.toFixed(3)} ${dot.y.toFixed(3)}`
    const line = `${peer.name} ${place}, ${dot.heard}/s, ${peer.roundTripMs?.toFixed(1) ?? '?'} ms`
    dot.heard = 0
    return line
  })
  console.log([`me ${own.x.toFixed(3)} ${own.y.toFixed(3)}`, ...seen].join(' | '))
}

await agent.start()
const timers = [setInterval(tick, 1_000 / ticksPerSecond), setInterval(whoIsWhere, 1_000)]
process.once('SIGINT', async () => {
  for (const timer of timers) clearInterval(timer)
  await agent.stop()
})
