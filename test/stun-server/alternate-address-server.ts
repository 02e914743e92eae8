// An address server on two addresses of this machine, with two ports that are free on both.

import { familyOf } from '../../src/base/endpoint.ts'
import { Problem } from '../../src/base/problem.ts'
import { type AlternateAddresses, planEndpoints } from '../../src/stun-server/alternate-addresses.ts'
import {
  type AddressServer,
  type AddressServerOptions,
  startAddressServer,
} from '../../src/stun-server/stun-server.ts'

export async function startWithAlternates(
  [first, second]: readonly [string, string],
  options: Omit<AddressServerOptions, 'listen'> = {},
): Promise<{ readonly server: AddressServer; readonly alternates: AlternateAddresses }> {
  for (;;) {
    const [one, two] = await freePorts(first)
    const listen = [
      { address: first, port: one },
      { address: second, port: two },
    ]
    const alternates = planEndpoints(listen).alternates.get(familyOf(first))
    if (!alternates) throw new Error(`${first} and ${second} are no alternate addresses`)
    try {
      return { server: await startAddressServer({ ...options, listen }), alternates }
    } catch (thrown) {
      // Another program has one of the two ports on the second address, or has just taken one on the first.
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
