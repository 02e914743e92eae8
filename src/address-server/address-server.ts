// The address server: tells a client where its packet came from, and keeps nothing (mission C1).

import { type Endpoint, familyOf } from '../base/endpoint.ts'
import { openUdpSocket, type UdpSocket } from '../net/udp-socket.ts'
import { answerBinding } from './answer.ts'

export interface AddressServer {
  /** As bound, in the order of `listen`. */
  readonly endpoints: readonly Endpoint[]
  close(): Promise<void>
}

/** Port 0 means any. Rejects with a Problem when one of them cannot be had; then none stays open. */
export async function startAddressServer(options: {
  readonly listen: readonly Endpoint[]
}): Promise<AddressServer> {
  const sockets: UdpSocket[] = []
  const close = async () => {
    await Promise.all(sockets.map((socket) => socket.close()))
  }
  try {
    for (const { address, port } of options.listen) {
      const socket: UdpSocket = await openUdpSocket({
        family: familyOf(address),
        address,
        port,
        onDatagram: (bytes, from) => {
          const answer = answerBinding(bytes, from)
          if (answer) socket.send(answer, from)
        },
      })
      sockets.push(socket)
    }
  } catch (error) {
    await close()
    throw error
  }
  return { endpoints: sockets.map(({ local }) => local), close }
}
