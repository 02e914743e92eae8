import assert from 'node:assert/strict'
import { test } from 'node:test'
import { hostEndpoints, type Interfaces } from '../../src/net/network-interfaces.ts'

/** The result of os.networkInterfaces, with the fields that are used. */
function interfaces(entries: Record<string, string[]>): Interfaces {
  return Object.fromEntries(
    Object.entries(entries).map(([name, addresses]) => [
      name,
      addresses.map((address) =>
        address.includes(':')
          ? { address, family: 'IPv6', internal: name === 'lo', netmask: '', mac: '', cidr: null, scopeid: 0 }
          : { address, family: 'IPv4', internal: name === 'lo', netmask: '', mac: '', cidr: null },
      ),
    ]),
  )
}

const wildcards = [
  { address: '0.0.0.0', port: 4000 },
  { address: '::', port: 6000 },
]

test('physical addresses are used with the port of their family; loopback, link-local and bridges are not', () => {
  const endpoints = hostEndpoints(
    wildcards,
    interfaces({
      lo: ['127.0.0.1', '::1'],
      eth0: ['192.168.1.5', 'fe80::1', '2a00::5'],
      docker0: ['172.17.0.1'],
      'br-1234': ['172.18.0.1'],
      wlan0: ['169.254.3.3'],
    }),
  )
  assert.deepEqual(endpoints, [
    { address: '192.168.1.5', port: 4000 },
    { address: '2a00::5', port: 6000 },
  ])
})

test('a socket bound to one address counts for that address only', () => {
  const endpoints = hostEndpoints([{ address: '127.0.0.1', port: 5 }], interfaces({ eth0: ['192.168.1.5'] }))
  assert.deepEqual(endpoints, [{ address: '127.0.0.1', port: 5 }])
})

test('a bridge is used when there is nothing else, and so is loopback', () => {
  const bridge = interfaces({ lo: ['127.0.0.1'], docker0: ['172.17.0.1'] })
  assert.deepEqual(hostEndpoints(wildcards, bridge), [{ address: '172.17.0.1', port: 4000 }])
  assert.deepEqual(hostEndpoints(wildcards, interfaces({ lo: ['127.0.0.1'] })), [
    { address: '127.0.0.1', port: 4000 },
  ])
  assert.deepEqual(hostEndpoints(wildcards, {}), [])
})

test('there are at most eight endpoints, and none twice', () => {
  const manyAddresses = Array.from({ length: 30 }, (_, i) => `10.0.0.${(i % 20) + 1}`)
  const endpoints = hostEndpoints(wildcards, interfaces({ eth0: manyAddresses }))
  assert.equal(endpoints.length, 8)
  assert.equal(new Set(endpoints.map(({ address }) => address)).size, 8)
})

test('of many IPv6 addresses two public and two private ones are used, those from the MAC address last', () => {
  const endpoints = hostEndpoints(
    wildcards,
    interfaces({
      eth0: [
        '2a00::5054:ff:fe12:3456',
        '2a00::1111:2222:3333:4444',
        '2a00::5555:6666:7777:8888',
        'fd00::5054:ff:fe12:3456',
        'fd00::1',
        'fd00::2',
        'fe80::5054:ff:fe12:3456',
      ],
    }),
  )
  assert.deepEqual(
    endpoints.map(({ address }) => address),
    ['2a00::1111:2222:3333:4444', '2a00::5555:6666:7777:8888', 'fd00::1', 'fd00::2'],
  )
})

test('an IPv6 address from the MAC address is used when there is no better one', () => {
  const endpoints = hostEndpoints(wildcards, interfaces({ eth0: ['2a00::5054:ff:fe12:3456'] }))
  assert.deepEqual(endpoints, [{ address: '2a00::5054:ff:fe12:3456', port: 6000 }])
})

test('many IPv4 addresses leave places for IPv6', () => {
  const manyAddresses = Array.from({ length: 30 }, (_, i) => `10.0.0.${i + 1}`)
  const endpoints = hostEndpoints(wildcards, interfaces({ eth0: [...manyAddresses, '2a00::5'] }))
  assert.equal(endpoints.length, 8)
  assert.ok(endpoints.some(({ address }) => address === '2a00::5'))
})
