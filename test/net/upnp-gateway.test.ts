// UPnP over real sockets on loopback, of routers as they are in the field, and of devices that mean harm.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { findUpnpGateway } from '../../src/net/portmap/upnp-gateway.ts'
import { textOf } from '../../src/net/portmap/upnp-messages.ts'
import {
  type Action,
  loopback,
  type UpnpBehaviour,
  upnpRouter,
  usualDescription,
  wanIp,
} from './router-on-loopback.ts'

const request = { internalPort: 4321, externalPort: 4321, leaseMs: 600_000 }
const external = { address: '11.9.0.10', port: 4321 }
const granted = { external, lifetimeMs: 600_000 }
const patient = () => new AbortController().signal

const address = '<NewExternalIPAddress>11.9.0.10</NewExternalIPAddress>'

/** Grants everything, but what `adding` says otherwise. */
function acting(adding: (port: number, leaseS: number) => number | null = () => null) {
  return ({ name, body }: Action) => {
    if (name === 'GetExternalIPAddress') return address
    if (name !== 'AddPortMapping') return ''
    const number = (field: string) => Number(textOf(body, field))
    return adding(number('NewExternalPort'), number('NewLeaseDuration')) ?? ''
  }
}

async function withRouter(
  behaviour: UpnpBehaviour,
  work: (
    router: Awaited<ReturnType<typeof upnpRouter>>,
    find: (signal?: AbortSignal) => ReturnType<typeof findUpnpGateway>,
  ) => Promise<void>,
) {
  const router = await upnpRouter(behaviour)
  const { searchPort } = router
  const options = { router: loopback, client: loopback, random: () => 0.5, searchPort }
  try {
    await work(router, (signal = patient()) => findUpnpGateway(options, signal))
  } finally {
    await router.close()
  }
}

test('the port is opened with a lease, for us alone, and closed again', async () => {
  await withRouter({ act: acting() }, async (router, find) => {
    const gateway = await find()
    assert.deepEqual(await gateway.map(request, patient()), granted)
    await gateway.unmap(granted, 4321, patient())
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

test('a port that somebody else has is left to them, and another one is taken', async () => {
  await withRouter({ act: acting((port) => (port === 4321 ? 718 : null)) }, async (_router, find) => {
    const { external: given } = await (await find()).map(request, patient())
    assert.equal(given.port, 1024 + 64_512 / 2)
  })
})

test('a router where all ports are taken is not asked for ever', async () => {
  await withRouter({ act: acting(() => 718) }, async (router, find) => {
    await assert.rejects((await find()).map(request, patient()), /UPnP error 718/)
    assert.equal(router.actions.length, 5)
  })
})

test('a router that knows no leases gives the port without one', async () => {
  for (const code of [725, 402]) {
    await withRouter(
      { act: acting((_port, leaseS) => (leaseS > 0 ? code : null)) },
      async (_router, find) => {
        assert.deepEqual(await (await find()).map(request, patient()), granted)
      },
    )
  }
})

test('of several connections the one with an address outside is taken, and kept', async () => {
  const ppp = 'urn:schemas-upnp-org:service:WANPPPConnection:1'
  const act = (action: Action) => (action.type === ppp ? acting()(action) : 501)
  await withRouter({ act, description: () => usualDescription([ppp, wanIp]) }, async (router, find) => {
    const gateway = await find()
    assert.deepEqual(await gateway.map(request, patient()), granted)
    const before = router.actions.length
    await gateway.map(request, patient())
    assert.deepEqual(
      router.actions.slice(before).map(({ type }) => type),
      [ppp, ppp],
    )
  })
})

test('a router without an address outside gives no port', async () => {
  for (const said of ['', '<NewExternalIPAddress/>', '0.0.0.0', '2a00::1', 'nonsense']) {
    const act = () => `<NewExternalIPAddress>${said}</NewExternalIPAddress>`
    await withRouter({ act }, async (_router, find) => {
      await assert.rejects((await find()).map(request, patient()), /no address outside/)
    })
  }
})

test('nobody is led away from the router: not by the answer to the search and not by the description', async () => {
  const elsewhere = 'http://127.0.0.2:9/x'
  await withRouter({ act: acting(), location: () => elsewhere }, async (router, find) => {
    await assert.rejects(find(AbortSignal.timeout(500)), { name: 'TimeoutError' })
    assert.ok(router.searches.length > 0)
  })
  const description = () => usualDescription().replace('/control', elsewhere)
  await withRouter({ act: acting(), description }, async (_router, find) => {
    await assert.rejects(find(), /nothing that maps ports/)
  })
  const urlBase = () => usualDescription().replace('<root>', `<root><URLBase>${elsewhere}</URLBase>`)
  await withRouter({ act: acting(), description: urlBase }, async (router, find) => {
    await (await find()).map(request, patient())
    assert.ok(router.paths.includes('/control'), 'a base elsewhere does not count')
  })
})

test('a description without end is not read to its end, and one that is nothing is no gateway', async () => {
  await withRouter({ act: acting(), description: () => 'x'.repeat(300_000) }, async (_router, find) => {
    await assert.rejects(find(), /too long/)
  })
  await withRouter({ act: acting(), description: () => '' }, async (_router, find) => {
    await assert.rejects(find(), /nothing that maps ports/)
  })
})

test('searching and asking end when they are told to', async () => {
  const stop = new AbortController()
  await withRouter({ act: acting() }, async (_router, find) => {
    const gateway = await find(stop.signal)
    stop.abort(new Error('enough'))
    await assert.rejects(find(stop.signal), /enough/)
    await assert.rejects(gateway.map(request, stop.signal))
  })
})
