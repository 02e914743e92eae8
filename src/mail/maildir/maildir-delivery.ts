// Delivery into a Maildir so that a reader never sees half a mail, and a mail that was accepted outlives a
// power cut: written in tmp/, synced, renamed into new/.

import { mkdir, open, rename, unlink } from 'node:fs/promises'
import { hostname } from 'node:os'
import { join } from 'node:path'
import type { Clock } from '../../base/clock.ts'

const parts = ['tmp', 'new', 'cur'] as const

/** Makes the folder and its three parts where they are missing; readable by us alone. */
export async function makeMaildir(folder: string): Promise<void> {
  for (const part of parts) await mkdir(join(folder, part), { recursive: true, mode: 0o700 })
}

export type MaildirDelivery = {
  /** Resolves when the mail is safe, with its base name. */
  deliver(folder: string, raw: Uint8Array): Promise<string>
}

/** One per process: its counter is what keeps names apart. */
export function createMaildirDelivery(clock: Clock): MaildirDelivery {
  const host = hostname().replace(/\//g, '\\057').replace(/:/g, '\\072')
  let count = 0
  return {
    async deliver(folder, raw) {
      const wall = clock.wallNow()
      const micros = Math.floor((wall % 1000) * 1000)
      const name = `${Math.floor(wall / 1000)}.M${micros}P${process.pid}Q${count++}.${host}`
      const temporary = join(folder, 'tmp', name)
      const file = await open(temporary, 'wx', 0o600)
      try {
        await file.writeFile(raw)
        await file.sync()
      } catch (error) {
        await unlink(temporary).catch(() => undefined)
        throw error
      } finally {
        await file.close()
      }
      await rename(temporary, join(folder, 'new', name))
      await syncFolder(join(folder, 'new'))
      return name
    },
  }
}

/** Without this the rename itself may be lost. Windows cannot open folders and needs none of it. */
async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r').catch(() => null)
  if (!folder) return
  await folder.sync().catch(() => undefined)
  await folder.close()
}
