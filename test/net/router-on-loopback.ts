// A simulated router on 127.0.0.1 for port mapping: PCP and NAT-PMP, SSDP, and UPnP's descriptions and actions.

import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

export const loopback = '127.0.0.1'
export const wanIp = 'urn:schemas-upnp-org:service:WANIPConnection:1'

/** Answers each datagram with the results of `answer`. */
export async function udpServer(answer: (bytes: Buffer) => readonly Uint8Array[], address = loopback) {
  const socket = createSocket('udp4')
  const received: Buffer[] = []
  socket.on('message', (bytes, from) => {
    received.push(bytes)
    for (const reply of answer(bytes)) socket.send(reply, from.port, from.address)
  })
  socket.bind({ address })
  await once(socket, 'listening')
  return {
    port: socket.address().port,
    received,
    /**
     * Makes the port refuse packets as if nobody listened. The port stays ours, so that no other program can
     * open it.
     */
    refusePackets: () => new Promise<void>((resolve) => socket.connect(9, address, () => resolve())),
    close: () => new Promise<void>((resolve) => socket.close(() => resolve())),
  }
}

export type Action = { readonly name: string; readonly type: string; readonly body: string }

export type UpnpBehavior = {
  /** The text of the description; by default a router with one WANIPConnection:1. */
  readonly description?: (httpPort: number) => string
  /** The location in the search answer; by default the description. */
  readonly location?: (httpPort: number) => string
  /** Returns an error code, or the fields of the answer. */
  readonly act: (action: Action) => number | string
}

export const usualDescription = (types: readonly string[] = [wanIp]) =>
  `<root><device><serviceList>${types
    .map((type) => `<service><serviceType>${type}</serviceType><controlURL>/control</controlURL></service>`)
    .join('')}</serviceList></device></root>`

export async function upnpRouter({ description, location, act }: UpnpBehavior) {
  const actions: Action[] = []
  const paths: string[] = []
  const http = createServer((request, response) => {
    paths.push(request.url ?? '')
    if (request.method === 'GET') {
      response.end((description ?? (() => usualDescription()))(httpPort))
      return
    }
    let body = ''
    request.setEncoding('utf8').on('data', (chunk: string) => {
      body += chunk
    })
    request.on('end', () => {
      const [type = '', name = ''] = String(request.headers.soapaction).replaceAll('"', '').split('#')
      const action = { name, type, body }
      actions.push(action)
      const result = act(action)
      response.statusCode = typeof result === 'number' ? 500 : 200
      response.end(typeof result === 'number' ? `<errorCode>${result}</errorCode>` : `<r>${result}</r>`)
    })
  })
  http.listen(0, loopback)
  await once(http, 'listening')
  const httpPort = (http.address() as AddressInfo).port
  const descriptionUrl = (location ?? ((port) => `http://${loopback}:${port}/description.xml`))(httpPort)
  const ssdp = await udpServer(() => [
    Buffer.from(`HTTP/1.1 200 OK\r\nLOCATION: ${descriptionUrl}\r\nST: x\r\n\r\n`),
  ])
  return {
    searchPort: ssdp.port,
    searches: ssdp.received,
    actions,
    paths,
    close: async () => {
      http.closeAllConnections()
      await Promise.all([ssdp.close(), new Promise((resolve) => http.close(resolve))])
    },
  }
}
