// What we use of udx-native, which brings no types.

declare module 'udx-native' {
  import type { EventEmitter } from 'node:events'

  // biome-ignore lint/style/noDefaultExport: the library has no other
  export default class UDX {
    createSocket(): Socket
    /** `id` is unique among all streams of this object. `seq`: where our packets count from. */
    createStream(id: number, options?: { readonly seq?: number }): Stream
  }

  export interface Socket {
    bind(port: number, host: string): void
    address(): { readonly host: string; readonly family: number; readonly port: number } | null
    /** Resolves when the last stream is gone. */
    close(): Promise<void>
  }

  export interface Stream extends EventEmitter {
    readonly id: number
    readonly mtu: number
    /** `ack`: where the other's packets count from. */
    connect(socket: Socket, remoteId: number, port: number, host: string, options?: { ack?: number }): void
    /** False: wait for `drain`. The bytes must stay as they are until they are acknowledged. */
    write(bytes: Uint8Array): boolean
    /** True when the other has acknowledged all that was written, false when destroyed before. */
    flush(): Promise<boolean>
    destroy(): void
  }
}
