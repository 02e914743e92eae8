// Finds the router's UPnP description (SSDP, UPnP Device Architecture 1.1 §1.3). Only the router's own answer
// counts: another device in the LAN could direct our requests anywhere.

import { createSocket } from 'node:dgram'
import { parseSearchAnswer, searchRequest } from './upnp-messages.ts'

const group = { address: '239.255.255.250', port: 1900 }
const deviceTypes = [
  'urn:schemas-upnp-org:device:InternetGatewayDevice:1',
  'urn:schemas-upnp-org:device:InternetGatewayDevice:2',
]
/** Repeated because datagrams are lost. Answers to the last one may take the second that MX allows. */
const sendAtMs = [0, 300, 1_000]
const giveUpAfterMs = 2_500
const maxAnswerBytes = 2_000

export type RouterAddresses = {
  readonly router: string
  /** Our address in the router's network. */
  readonly client: string
}

/**
 * The URL of the router's description. Rejects when nothing answers within 2.5 s. `port` is replaced in tests.
 */
export async function searchUpnp(
  { router, client }: RouterAddresses,
  signal: AbortSignal,
  port = group.port,
): Promise<URL> {
  const limited = AbortSignal.any([signal, AbortSignal.timeout(giveUpAfterMs)])
  limited.throwIfAborted()
  const socket = createSocket('udp4')
  const timers: NodeJS.Timeout[] = []
  try {
    return await new Promise<URL>((resolve, reject) => {
      limited.addEventListener('abort', () => reject(limited.reason), { once: true })
      socket.on('error', reject)
      socket.on('message', (bytes, from) => {
        if (from.address !== router || bytes.length > maxAnswerBytes) return
        const location = parseSearchAnswer(bytes.toString('latin1'))
        const url = location === null ? null : ownUrlOf(location, router)
        if (url) resolve(url)
      })
      // Also to the router directly: some switches and access points do not forward multicast.
      const send = () => {
        for (const { address, port: to } of [
          { ...group, port },
          { address: router, port },
        ]) {
          const host = `${address}:${to}`
          // If one of the two fails, the other may still work.
          for (const type of deviceTypes) socket.send(searchRequest(type, host), to, address, () => {})
        }
      }
      socket.bind({ address: client }, () => {
        try {
          socket.setMulticastInterface(client)
          socket.setMulticastTTL(2)
        } catch (error) {
          reject(error)
          return
        }
        for (const atMs of sendAtMs) timers.push(setTimeout(send, atMs))
      })
    })
  } finally {
    for (const timer of timers) clearTimeout(timer)
    socket.close()
  }
}

/** The URL if it is plain HTTP at the router itself; else null. */
export function ownUrlOf(text: string, router: string, base?: URL): URL | null {
  const url = URL.parse(text, base?.href)
  return url?.protocol === 'http:' && url.hostname === router && url.username === '' ? url : null
}
