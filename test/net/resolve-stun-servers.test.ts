import assert from 'node:assert/strict'
import { test } from 'node:test'
import { resolveServers } from '../../src/net/resolve-stun-servers.ts'

const names: Record<string, string[]> = {
  'stun.example.org': ['11.0.0.1', '11.0.0.2', '2a00::1'],
  'six.example.org': ['2a00::2'],
}
const lookup = async (host: string) => {
  const addresses = names[host]
  if (!addresses) throw new Error(`getaddrinfo ENOTFOUND ${host}`)
  return addresses
}

test('a name gives one endpoint per family of ours; the default port is 3478', async () => {
  assert.deepEqual(
    await resolveServers(['stun.example.org:99', 'six.example.org'], { families: [4, 6], lookup }),
    {
      endpoints: [
        { address: '11.0.0.1', port: 99 },
        { address: '2a00::1', port: 99 },
        { address: '2a00::2', port: 3478 },
      ],
      failures: [],
    },
  )
})

test('addresses need no lookup, and none is returned twice', async () => {
  const { endpoints } = await resolveServers(['11.0.0.9:5', '[2a00::9]:5', '[2a00:0::9]:5'], {
    families: [4, 6],
    lookup: () => assert.fail('looked up'),
  })
  assert.deepEqual(endpoints, [
    { address: '11.0.0.9', port: 5 },
    { address: '2a00::9', port: 5 },
  ])
})

test('servers that cannot be resolved are reported by name, and the others stay', async () => {
  const { endpoints, failures } = await resolveServers(
    ['nowhere.example.org', 'six.example.org', 'http://x/', 'a:70000', 'stun.example.org'],
    { families: [4], lookup },
  )
  assert.deepEqual(endpoints, [{ address: '11.0.0.1', port: 3478 }])
  assert.deepEqual(failures.map(({ server }) => server).sort(), [
    'a:70000',
    'http://x/',
    'nowhere.example.org',
    'six.example.org',
  ])
  assert.match(failures.find(({ server }) => server === 'six.example.org')?.reason ?? '', /no IPv4 address/)
})

test('a silent name server does not block the others', async () => {
  const { failures } = await resolveServers(['slow.example.org'], {
    families: [4],
    timeoutMs: 1,
    lookup: () => new Promise(() => {}),
  })
  assert.match(failures[0]?.reason ?? '', /could not be looked up within/)
})
