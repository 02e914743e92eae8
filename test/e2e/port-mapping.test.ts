// Ports opened by a real miniupnpd, on routers in network namespaces.

import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { createInterface } from 'node:readline'
import { type TestContext, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import type { PortMapping } from '../../src/net/portmap/port-mapper.ts'
import { type Defer, deferIn } from '../harness/defer.ts'
import { type MiniupnpdOptions, startMiniupnpd } from '../harness/miniupnpd.ts'
import { makeInternet, within } from '../harness/namespaces.ts'
import { lacks } from '../harness/needs.ts'

const skip = lacks('nft', 'miniupnpd', 'network namespaces')
const timeout = 30_000
/** Addresses that miniupnpd takes for public ones; it knows better of those for tests. */
const network = '11.9.0'
const port = 4321
const program = fileURLToPath(new URL('map-port.ts', import.meta.url))

type Line = { readonly event: string; readonly mapping?: PortMapping | null; readonly text?: string }

/** Somebody in the LAN who wants a port. */
function wanting(defer: Defer, netns: string, leaseMs: number, ...more: string[]) {
  const [ip = '', ...args] = within(netns)
  const command = [...args, process.execPath, program, String(port), String(leaseMs), ...more]
  const child = spawn(ip, command, { stdio: ['ignore', 'pipe', 'inherit'] })
  const lines: Line[] = []
  const waiting = new Set<() => void>()
  const wake = () => {
    for (const check of waiting) check()
  }
  let hasEnded = false
  createInterface({ input: child.stdout })
    .on('line', (line) => {
      lines.push(JSON.parse(line))
      wake()
    })
    .on('close', () => {
      hasEnded = true
      wake()
    })
  const until = (what: string, fits: (line: Line) => boolean) =>
    new Promise<Line>((resolve, reject) => {
      const check = () => {
        const found = lines.find(fits)
        if (!found && !hasEnded) return
        waiting.delete(check)
        if (found) resolve(found)
        else reject(new Error(`${what} never came; only ${JSON.stringify(lines)}`))
      }
      waiting.add(check)
      check()
    })
  const kill = async (signal: NodeJS.Signals) => {
    child.kill(signal)
    if (!hasEnded) await new Promise((resolve) => child.once('close', resolve))
  }
  defer(() => kill('SIGKILL'))
  return { lines, until, event: (event: string) => until(event, (line) => line.event === event), kill }
}

function home(context: TestContext, publicAddress?: string) {
  const defer = deferIn(context)
  const internet = makeInternet({ network })
  defer(() => internet.close())
  const lan = internet.addLan('', publicAddress)
  const host = lan.addHost()
  return {
    defer,
    lan,
    host,
    async router(options: MiniupnpdOptions = {}) {
      const router = await startMiniupnpd(lan, options)
      defer(() => router.stop())
      return router
    },
    /** Somebody out in the world, whom nobody asked. */
    sayFromOutside(text: string) {
      const [ip = '', ...args] = within(internet.backbone)
      const script = `require('node:dgram').createSocket('udp4').send(${JSON.stringify(text)}, ${port}, '${lan.publicAddress}', () => process.exit())`
      const { status } = spawnSync(ip, [...args, process.execPath, '-e', script])
      assert.equal(status, 0)
    },
  }
}

/** [what, how the router is set up, language, what it says of each time it is asked] */
const languages = [
  ['PCP', {}, 'PCP', /PCP request received/],
  ['UPnP IGD 2', { pcp: false }, 'UPnP', /AddPortMapping: ext port/],
  ['UPnP IGD 1', { pcp: false, upnp: 1 }, 'UPnP', /AddPortMapping: ext port/],
  ['NAT-PMP', { upnp: false }, 'NAT-PMP', /NAT-PMP port mapping request/],
] as const

for (const [what, options, language, asked] of languages) {
  test(`${what}: strangers get in while the port is wanted, by renewed leases, and no longer`, {
    skip,
    timeout,
  }, async (context) => {
    const { defer, lan, host, router, sayFromOutside } = home(context)
    const miniupnpd = await router(options)
    const old = language === 'NAT-PMP' ? ['natpmp', lan.routerAddress] : []
    const wanted = wanting(defer, host, 4_000, ...old)
    const { mapping } = await wanted.event('change')
    assert.deepEqual(mapping, {
      external: { address: lan.publicAddress, port },
      language,
      router: old.length > 0 ? '127.0.0.1' : lan.routerAddress,
    })
    context.diagnostic(`${what}: ${JSON.stringify(await wanted.event('settled'))}`)
    assert.deepEqual(miniupnpd.openPorts(), [port])
    sayFromOutside('one')
    await wanted.until('the first datagram', ({ text }) => text === 'one')

    // The third renewal comes 6 s after the first lease of 4 s began.
    await miniupnpd.says(asked, 4)
    sayFromOutside('two')
    await wanted.until('the second datagram', ({ text }) => text === 'two')
    assert.equal(wanted.lines.filter(({ event }) => event === 'change').length, 1)

    await wanted.kill('SIGTERM')
    await wanted.event('closed')
    assert.deepEqual(miniupnpd.openPorts(), [])
  })
}

/** By PCP a router may keep it for two minutes at least. */
for (const [what, options, language] of languages.filter(([, , language]) => language !== 'PCP')) {
  test(`${what}: what somebody who was killed leaves behind is gone with its lease`, {
    skip,
    timeout,
  }, async (context) => {
    const { defer, lan, host, router } = home(context)
    const miniupnpd = await router(options)
    const wanted = wanting(
      defer,
      host,
      3_000,
      ...(language === 'NAT-PMP' ? ['natpmp', lan.routerAddress] : []),
    )
    await wanted.event('change')
    await wanted.kill('SIGKILL')
    assert.deepEqual(miniupnpd.openPorts(), [port])
    while (miniupnpd.openPorts().length > 0) await new Promise((resolve) => setTimeout(resolve, 100))
  })
}

test('a router that forgot everything is asked again by the next renewal', {
  skip,
  timeout,
}, async (context) => {
  const { defer, host, router } = home(context)
  const first = await router()
  const wanted = wanting(defer, host, 4_000)
  await wanted.event('change')
  await first.stop()
  const second = await router()
  assert.deepEqual(second.openPorts(), [])
  await second.says(/PCP MAP: added mapping/)
  assert.deepEqual(second.openPorts(), [port])
  await wanted.kill('SIGTERM')
  assert.deepEqual(second.openPorts(), [])
})

test('behind a second NAT the router says that it has no public address, and nothing is opened', {
  skip,
  timeout,
}, async (context) => {
  for (const options of [{}, { pcp: false }] satisfies MiniupnpdOptions[]) {
    const { defer, host, router } = home(context, '192.168.7.2')
    const miniupnpd = await router(options)
    const wanted = wanting(defer, host, 4_000)
    await wanted.event('settled')
    assert.deepEqual(
      wanted.lines.filter(({ event }) => event === 'change'),
      [],
    )
    assert.deepEqual(miniupnpd.openPorts(), [])
    await wanted.kill('SIGTERM')
  }
})

test('where the router opens no ports that is known within three seconds', {
  skip,
  timeout,
}, async (context) => {
  const { defer, host } = home(context)
  const wanted = wanting(defer, host, 4_000)
  const { afterMs } = (await wanted.event('settled')) as Line & { afterMs: number }
  assert.ok(afterMs < 3_000, `${afterMs} ms`)
  await wanted.kill('SIGTERM')
})
