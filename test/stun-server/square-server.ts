// An address server on two addresses of this machine, with two ports that happen to be free on both.

import { familyOf } from '../../src/base/endpoint.ts'
import { Problem } from '../../src/base/problem.ts'
import { type AlternateAddresses, layOut } from '../../src/stun-server/alternate-addresses.ts'
import {
  type AddressServer,
  type AddressServerOptions,
  startAddressServer,
} from '../../src/stun-server/stun-server.ts'

export async function startSquare(
  [first, second]: readonly [string, string],
  options: Omit<AddressServerOptions, 'listen'> = {},
): Promise<{ readonly server: AddressServer; readonly square: AlternateAddresses }> {
  for (;;) {
    const [one, two] = await freePorts(first)
    const listen = [
      { address: first, port: one },
      { address: second, port: two },
    ]
    const square = layOut(listen).squares.get(familyOf(first))
    if (!square) throw new Error(`${first} and ${second} make no square`)
    try {
      return { server: await startAddressServer({ ...options, listen }), square }
    } catch (thrown) {
      // Somebody else has one of the two on the second address, or was quicker on the first.
      if (!(thrown instanceof Problem) || thrown.code !== 'port-taken') throw thrown
    }
  }
}

async function freePorts(address: string): Promise<[number, number]> {
  const any = { address, port: 0 }
  const holder = await startAddressServer({ listen: [any, any] })
  const [one = 0, two = 0] = holder.endpoints.map(({ port }) => port)
  await holder.close()
  return [one, two]
}
