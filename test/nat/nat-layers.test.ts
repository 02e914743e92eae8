import assert from 'node:assert/strict'
import { test } from 'node:test'
import { layersOf } from '../../src/nat/nat-layers.ts'

const at = (address: string) => ({ address, port: 4000 })
const cases: [sentence: string, local: string[], seen: string[], router: string | null, expected: string][] =
  [
    ['no server has seen us: unknown', ['192.168.1.2'], [], null, 'unknown'],
    ['seen at our own address: none', ['9.9.9.9'], ['9.9.9.9'], null, 'none'],
    ['a router that did not answer: unknown', ['192.168.1.2'], ['9.9.9.9'], null, 'unknown'],
    ['a router with the public address: one', ['192.168.1.2'], ['9.9.9.9'], '9.9.9.9', 'one'],
    [
      'a router with one of several public addresses: one',
      ['192.168.1.2'],
      ['9.9.9.8', '9.9.9.9'],
      '9.9.9.9',
      'one',
    ],
    ['a router inside a private network: double', ['192.168.1.2'], ['9.9.9.9'], '10.0.0.2', 'double'],
    ['a router with another public address: double', ['192.168.1.2'], ['9.9.9.9'], '8.8.8.8', 'double'],
    ["a router inside a provider's network: carrier", ['192.168.1.2'], ['9.9.9.9'], '100.64.3.4', 'carrier'],
    ["ourselves inside a provider's network: carrier", ['100.70.1.1'], ['9.9.9.9'], null, 'carrier'],
    [
      'a VPN with such addresses beside a LAN: unknown',
      ['100.70.1.1', '192.168.1.2'],
      ['9.9.9.9'],
      null,
      'unknown',
    ],
    ['IPv6 shows nothing about it', ['192.168.1.2', '2a00::1'], ['2a00::1'], null, 'unknown'],
  ]
for (const [sentence, local, seen, routerAddress, expected] of cases) {
  test(sentence, () => {
    assert.equal(
      layersOf({ localEndpoints: local.map(at), publicEndpoints: seen.map(at), routerAddress }),
      expected,
    )
  })
}
