import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { fromNetstat, fromProcRoute } from '../../src/net/portmap/default-routers.ts'

test('Linux: default routes of /proc/net/route, the one with the lowest metric first', () => {
  const text = `Iface	Destination	Gateway 	Flags	RefCnt	Use	Metric	Mask		MTU	Window	IRTT
wlan0	00000000	0101A8C0	0003	0	0	600	00000000	0	0	0
eth0	00000000	0100000A	0003	0	0	100	00000000	0	0	0
eth0	0000000A	00000000	0001	0	0	100	00FFFFFF	0	0	0
ppp0	00000000	00000000	0001	0	0	50	00000000	0	0	0
`
  assert.deepEqual(fromProcRoute(text, 'LE'), ['10.0.0.1', '192.168.1.1'])
  assert.deepEqual(fromProcRoute('eth0	00000000	C0A80101	0003	0	0	0	00000000', 'BE'), ['192.168.1.1'])
  assert.deepEqual(fromProcRoute(''), [])
})

test('macOS: the default routes of `netstat -rn`, IPv4 only', () => {
  const text = `Routing tables

Internet:
Destination        Gateway            Flags               Netif Expire
default            192.168.1.1        UGScg                 en0
default            link#18            UCSIg         bridge100      !
127                127.0.0.1          UCS                   lo0

Internet6:
default            fe80::1%en0        UGcg                  en0
`
  assert.deepEqual(fromNetstat(text), ['192.168.1.1'])
})

test('Windows: the route to 0.0.0.0, in any language', () => {
  const text = `
IPv4-Routentabelle
===========================================================================
Aktive Routen:
     Netzwerkziel    Netzwerkmaske          Gateway    Schnittstelle Metrik
          0.0.0.0          0.0.0.0      192.168.2.1     192.168.2.101     35
        127.0.0.0        255.0.0.0   Auf Verbindung         127.0.0.1    331
`
  assert.deepEqual(fromNetstat(text), ['192.168.2.1'])
})

test('whatever the system prints, only addresses are returned', () => {
  const word = fc.constantFrom('default', '0.0.0.0', '00000000', '0101A8C0', '0003', '192.168.1.1', 'link#1')
  fc.assert(
    fc.property(fc.array(fc.oneof(word, fc.string({ maxLength: 9 })), { maxLength: 30 }), (words) => {
      const text = words.join(' ')
      for (const address of [...fromProcRoute(text), ...fromNetstat(text)]) {
        assert.match(address, /^\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}$/)
      }
    }),
  )
})
