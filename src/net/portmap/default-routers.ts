// Finds the routers of the system's IPv4 default routes. Node does not report them.

import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { endianness } from 'node:os'
import { addressScope, canonicalAddress } from '../../base/endpoint.ts'

/** Further default routes are ignored. */
const maxRouters = 2
const commandTimeoutMs = 2_000
const maxOutputBytes = 1024 * 1024

/**
 * Private addresses only, best first. Empty when there are none or the system does not report them. A router
 * with a public address belongs to a provider and must not be asked.
 */
export async function defaultRouters(signal: AbortSignal): Promise<string[]> {
  const found = process.platform === 'linux' ? await fromProc() : fromNetstat(await netstat(signal))
  const own = found.filter((address) => ['private', 'shared', 'link-local'].includes(addressScope(address)))
  return [...new Set(own)].slice(0, maxRouters)
}

/** Parses /proc/net/route: hexadecimal, addresses in the byte order of the machine. */
export function fromProcRoute(text: string, order: 'LE' | 'BE' = endianness()): string[] {
  const isUpGateway = 0x3
  return text
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .flatMap(([, destination, gateway, flags, , , metric, mask]) => {
      if (destination !== '00000000' || mask !== '00000000' || !/^[0-9A-F]{8}$/i.test(gateway ?? ''))
        return []
      if ((Number.parseInt(flags ?? '', 16) & isUpGateway) !== isUpGateway) return []
      const octets = (gateway as string).match(/../g)?.map((octet) => Number.parseInt(octet, 16)) ?? []
      return [{ address: (order === 'LE' ? octets.reverse() : octets).join('.'), metric: Number(metric) }]
    })
    .sort((a, b) => a.metric - b.metric)
    .map(({ address }) => address)
}

/**
 * Parses the output of `netstat -rn` on Windows, macOS and the BSDs. Its words are translated, its numbers are
 * not.
 */
export function fromNetstat(text: string): string[] {
  return text.split('\n').flatMap((line) => {
    const words = line.trim().split(/\s+/)
    const gateway = words[0] === 'default' ? words[1] : isWindowsDefault(words) ? words[2] : undefined
    const address = canonicalAddress(gateway ?? '')
    return address === null || address.includes(':') ? [] : [address]
  })
}

function isWindowsDefault([destination, mask]: readonly string[]): boolean {
  return destination === '0.0.0.0' && mask === '0.0.0.0'
}

async function fromProc(): Promise<string[]> {
  return fromProcRoute(await readFile('/proc/net/route', 'utf8').catch(() => ''))
}

function netstat(signal: AbortSignal): Promise<string> {
  return new Promise((resolve) => {
    const options = { signal, timeout: commandTimeoutMs, maxBuffer: maxOutputBytes, windowsHide: true }
    execFile('netstat', ['-rn'], options, (error, stdout) => resolve(error ? '' : stdout))
  })
}
