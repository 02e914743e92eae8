// Delivers mails into a Maildir: writes to tmp/, syncs, then renames into new/. So a reader never sees an incomplete
// mail, and an accepted mail is not lost in a power failure.

import { mkdir, open, rename, unlink } from 'node:fs/promises'
import { hostname } from 'node:os'
import { join } from 'node:path'
import type { Clock } from '../../base/clock.ts'

const subfolders = ['tmp', 'new', 'cur'] as const

/** Creates the Maildir with its three subfolders if they are missing. Only this user can read them. */
export async function makeMaildir(folder: string): Promise<void> {
  for (const subfolder of subfolders) await mkdir(join(folder, subfolder), { recursive: true, mode: 0o700 })
}

export type MaildirDelivery = {
  /** Resolves with the base name of the mail when it is safely on disk. */
  deliver(folder: string, raw: Uint8Array): Promise<string>
}

/** Create one for each process: its counter makes the names unique. */
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

/** Makes the rename survive a power failure. Windows cannot open folders, and does not need it. */
async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r').catch(() => null)
  if (!folder) return
  await folder.sync().catch(() => undefined)
  await folder.close()
}
