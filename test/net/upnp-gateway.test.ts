// UPnP over real sockets on loopback, with routers as they are in the field and with malicious devices.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { findUpnpGateway } from '../../src/net/portmap/upnp-gateway.ts'
import { textOf } from '../../src/net/portmap/upnp-messages.ts'
import {
  type Action,
  loopback,
  type UpnpBehavior,
  upnpRouter,
  usualDescription,
  wanIp,
} from './router-on-loopback.ts'

const request = { internalPort: 4321, externalPort: 4321, leaseMs: 600_000 }
const external = { address: '11.9.0.10', port: 4321 }
const granted = { external, lifetimeMs: 600_000 }
const noTimeout = () => new AbortController().signal

const address = '<NewExternalIPAddress>11.9.0.10</NewExternalIPAddress>'

/** Grants everything except what `adding` refuses. */
function actions(adding: (port: number, leaseS: number) => number | null = () => null) {
  return ({ name, body }: Action) => {
    if (name === 'GetExternalIPAddress') return address
    if (name !== 'AddPortMapping') return ''
    const number = (field: string) => Number(textOf(body, field))
    return adding(number('NewExternalPort'), number('NewLeaseDuration')) ?? ''
  }
}

async function withRouter(
  behavior: UpnpBehavior,
  work: (
    router: Awaited<ReturnType<typeof upnpRouter>>,
    find: (signal?: AbortSignal) => ReturnType<typeof findUpnpGateway>,
  ) => Promise<void>,
) {
  const router = await upnpRouter(behavior)
  const { searchPort } = router
  const options = { router: loopback, client: loopback, random: () => 0.5, searchPort }
  try {
    await work(router, (signal = noTimeout()) => findUpnpGateway(options, signal))
  } finally {
    await router.close()
  }
}

test('the port is opened with a lease, only for our address, and closed again', async () => {
  await withRouter({ act: actions() }, async (router, find) => {
    const gateway = await find()
    assert.deepEqual(await gateway.map(request, noTimeout()), granted)
    await gateway.unmap(granted, 4321, noTimeout())
    assert.deepEqual(
      router.actions.map(({ name }) => name),
      ['GetExternalIPAddress', 'AddPortMapping', 'DeletePortMapping'],
    )
    const [, add, remove] = router.actions.map(({ body }) => body)
    const fields = [
      'NewExternalPort',
      'NewProtocol',
      'NewInternalPort',
      'NewInternalClient',
      'NewLeaseDuration',
    ]
    assert.deepEqual(
      fields.map((field) => textOf(add ?? '', field)),
      ['4321', 'UDP', '4321', loopback, '600'],
    )
    assert.deepEqual(
      ['NewExternalPort', 'NewProtocol'].map((field) => textOf(remove ?? '', field)),
      ['4321', 'UDP'],
    )
  })
})

test('when another device has the port, another port is used', async () => {
  await withRouter({ act: actions((port) => (port === 4321 ? 718 : null)) }, async (_router, find) => {
    const { external: grantedEndpoint } = await (await find()).map(request, noTimeout())
    assert.equal(grantedEndpoint.port, 1024 + 64_512 / 2)
  })
})

test('a router without free ports is not asked forever', async () => {
  await withRouter({ act: actions(() => 718) }, async (router, find) => {
    await assert.rejects((await find()).map(request, noTimeout()), /UPnP error 718/)
    assert.equal(router.actions.length, 5)
  })
})

test('a router that knows no leases grants the port without one', async () => {
  for (const code of [725, 402]) {
    await withRouter(
      { act: actions((_port, leaseS) => (leaseS > 0 ? code : null)) },
      async (_router, find) => {
        assert.deepEqual(await (await find()).map(request, noTimeout()), granted)
      },
    )
  }
})

test('of several connections the one with an external address is used, and kept', async () => {
  const ppp = 'urn:schemas-upnp-org:service:WANPPPConnection:1'
  const act = (action: Action) => (action.type === ppp ? actions()(action) : 501)
  await withRouter({ act, description: () => usualDescription([ppp, wanIp]) }, async (router, find) => {
    const gateway = await find()
    assert.deepEqual(await gateway.map(request, noTimeout()), granted)
    const before = router.actions.length
    await gateway.map(request, noTimeout())
    assert.deepEqual(
      router.actions.slice(before).map(({ type }) => type),
      [ppp, ppp],
    )
  })
})

test('a router without an external address grants no port', async () => {
  for (const reported of ['', '<NewExternalIPAddress/>', '0.0.0.0', '2a00::1', 'nonsense']) {
    const act = () => `<NewExternalIPAddress>${reported}</NewExternalIPAddress>`
    await withRouter({ act }, async (_router, find) => {
      await assert.rejects((await find()).map(request, noTimeout()), /no address outside/)
    })
  }
})

test('neither the search answer nor the description can redirect requests away from the router', async () => {
  const elsewhere = 'http://127.0.0.2:9/x'
  await withRouter({ act: actions(), location: () => elsewhere }, async (router, find) => {
    await assert.rejects(find(AbortSignal.timeout(500)), { name: 'TimeoutError' })
    assert.ok(router.searches.length > 0)
  })
  const description = () => usualDescription().replace('/control', elsewhere)
  await withRouter({ act: actions(), description }, async (_router, find) => {
    await assert.rejects(find(), /nothing that maps ports/)
  })
  const urlBase = () => usualDescription().replace('<root>', `<root><URLBase>${elsewhere}</URLBase>`)
  await withRouter({ act: actions(), description: urlBase }, async (router, find) => {
    await (await find()).map(request, noTimeout())
    assert.ok(router.paths.includes('/control'), 'a base URL at another host does not count')
  })
})

test('a description that is too long is not read to its end, and an empty one is no gateway', async () => {
  await withRouter({ act: actions(), description: () => 'x'.repeat(300_000) }, async (_router, find) => {
    await assert.rejects(find(), /too long/)
  })
  await withRouter({ act: actions(), description: () => '' }, async (_router, find) => {
    await assert.rejects(find(), /nothing that maps ports/)
  })
})

test('search and request end when they are aborted', async () => {
  const stop = new AbortController()
  await withRouter({ act: actions() }, async (_router, find) => {
    const gateway = await find(stop.signal)
    stop.abort(new Error('enough'))
    await assert.rejects(find(stop.signal), /enough/)
    await assert.rejects(gateway.map(request, stop.signal))
  })
})
