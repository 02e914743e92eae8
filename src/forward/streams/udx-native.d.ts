// Types for the part of udx-native that we use. The package has no types.

declare module 'udx-native' {
  import type { EventEmitter } from 'node:events'

  // biome-ignore lint/style/noDefaultExport: the library has no other
  export default class UDX {
    createSocket(): Socket
    /** `id` is unique among all streams of this object. `seq`: the first sequence number of our packets. */
    createStream(id: number, options?: { readonly seq?: number }): Stream
  }

  export interface Socket {
    bind(port: number, host: string): void
    address(): { readonly host: string; readonly family: number; readonly port: number } | null
    /** Resolves when the last stream is closed. */
    close(): Promise<void>
  }

  export interface Stream extends EventEmitter {
    readonly id: number
    readonly mtu: number
    /** `ack`: the first sequence number of the other side's packets. */
    connect(socket: Socket, remoteId: number, port: number, host: string, options?: { ack?: number }): void
    /** False: wait for `drain`. The bytes must not change until they are acknowledged. */
    write(bytes: Uint8Array): boolean
    /** True when the other side has acknowledged all written data, false when destroyed before. */
    flush(): Promise<boolean>
    destroy(): void
  }
}
