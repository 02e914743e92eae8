import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  actionRequest,
  errorCodeOf,
  parseSearchAnswer,
  parseServices,
  parseUrlBase,
  searchRequest,
  textOf,
} from '../../src/net/portmap/upnp-messages.ts'

const wan = 'urn:schemas-upnp-org:service:WANIPConnection'

test('a search has the form that UPnP requires', () => {
  assert.equal(
    searchRequest('urn:x', '239.255.255.250:1900'),
    'M-SEARCH * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\nMAN: "ssdp:discover"\r\nMX: 1\r\nST: urn:x\r\n\r\n',
  )
})

test('the description’s URL is read from a search answer, however its header is spelt', () => {
  for (const header of ['LOCATION: ', 'Location:', 'location: \t']) {
    const answer = `HTTP/1.1 200 OK\r\nST: x\r\n${header}http://10.0.1.1:5000/root.xml\r\nUSN: y\r\n\r\n`
    assert.equal(parseSearchAnswer(answer), 'http://10.0.1.1:5000/root.xml')
  }
  assert.equal(parseSearchAnswer('NOTIFY * HTTP/1.1\r\nLOCATION: http://10.0.1.1/\r\n\r\n'), null)
  assert.equal(parseSearchAnswer('HTTP/1.1 200 OK\r\nST: x\r\n\r\n'), null)
})

test('the services that map ports are found among others, the best one first', () => {
  const service = (type: string, url: string) =>
    `<service>\n <serviceType>${type}</serviceType><SCPDURL>/x</SCPDURL><controlURL>${url}</controlURL></service>`
  const description = `<?xml version="1.0"?><root xmlns="urn:schemas-upnp-org:device-1-0">
    <URLBase>http://10.0.1.1:80/</URLBase><device><serviceList>
    ${service('urn:schemas-upnp-org:service:Layer3Forwarding:1', '/l3')}
    ${service('urn:schemas-upnp-org:service:WANPPPConnection:1', '/ppp')}
    ${service(`${wan}:1`, ' /ip?a=1&amp;b=2 ')}</serviceList></device></root>`
  assert.deepEqual(parseServices(description), [
    { type: `${wan}:1`, controlUrl: '/ip?a=1&b=2' },
    { type: 'urn:schemas-upnp-org:service:WANPPPConnection:1', controlUrl: '/ppp' },
  ])
  assert.equal(parseUrlBase(description), 'http://10.0.1.1:80/')
  assert.equal(parseUrlBase('<root></root>'), null)
})

test('an action is a SOAP request, and its answer and faults are read with any namespace prefix', () => {
  const body = actionRequest(`${wan}:1`, 'DeletePortMapping', { NewRemoteHost: '', NewExternalPort: 5 })
  assert.ok(
    body.includes(
      `<s:Body><u:DeletePortMapping xmlns:u="${wan}:1"><NewRemoteHost></NewRemoteHost><NewExternalPort>5</NewExternalPort></u:DeletePortMapping></s:Body>`,
    ),
  )
  assert.equal(textOf('<a:NewX xmlns:a="u"> 1.2.3.4\n</a:NewX>', 'NewX'), '1.2.3.4')
  const fault = '<s:Fault><detail><UPnPError><errorCode>718</errorCode></UPnPError></detail></s:Fault>'
  assert.equal(errorCodeOf(fault), 718)
  assert.equal(errorCodeOf('<html>busy</html>'), 0)
})

test('parsing never throws and finds only known services', () => {
  const fragment = fc.constantFrom(
    ...['<service>', '</service>', '<serviceType>', '</serviceType>', `${wan}:1`, '<controlURL>'],
    ...['</controlURL>', '<', '>', ' ', '&amp;', '&#0;', 'HTTP/1.1 200 OK\r\n', 'location: '],
  )
  fc.assert(
    fc.property(fc.array(fc.oneof(fragment, fc.string({ maxLength: 5 })), { maxLength: 60 }), (fragments) => {
      const text = fragments.join('')
      parseSearchAnswer(text)
      errorCodeOf(text)
      for (const { type, controlUrl } of parseServices(text)) {
        assert.equal(type, `${wan}:1`)
        assert.equal(typeof controlUrl, 'string')
      }
    }),
    { numRuns: 1_000 },
  )
})

test('a malicious description takes only linear time', () => {
  const read = (text: string) => {
    const before = performance.now()
    parseServices(text)
    textOf(text, 'service')
    return performance.now() - before
  }
  for (const fragment of [
    '<service>',
    '<service ',
    '</service',
    '<service ><',
    `${'a'.repeat(32)}:service`,
  ]) {
    const text = fragment.repeat(Math.floor(262_144 / fragment.length))
    assert.ok(read(text) < 1_000, fragment)
  }
})
