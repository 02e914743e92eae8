// Chooses the worker to which a representative gives a letter: the worker that has the sender's other letters, else the live
// worker with the least load. Pure: time and the sender's worker are arguments.

import type { HostId } from '../../sync/table-sync.ts'

/** After this time a letter counts half in the load. */
const halfLifeMs = 10 * 60_000

type Worker = {
  readonly id: HostId
  /** Letters given to it. Old ones count less. */
  load: number
  loadAt: number
  /** When it last sent something, in monotonic ms. */
  heardAt: number
  isSilent: boolean
}

export class LoadBalancer {
  readonly #workers: ReadonlyMap<HostId, Worker>

  /** `now` is monotonic ms, here and below. At first all workers count as alive. */
  constructor(ids: readonly HostId[], now: number) {
    this.#workers = new Map(
      ids.map((id) => [id, { id, load: 0, loadAt: now, heardAt: now, isSilent: false }] as const),
    )
  }

  /** `previous`: the sender's worker so far. When no worker is alive, letters wait for it. Null only without any workers. */
  choose(now: number, previous: HostId | null, isReachable: (id: HostId) => boolean): HostId | null {
    const known = previous === null ? undefined : this.#workers.get(previous)
    const living = this.#living(isReachable)
    if (known && (living.length === 0 || living.includes(known))) return known.id
    const candidates = living.length > 0 ? living : [...this.#workers.values()]
    let least: Worker | null = null
    for (const worker of candidates) {
      this.#decay(now, worker)
      if (least === null || worker.load < least.load) least = worker
    }
    return least?.id ?? null
  }

  hasLiving(isReachable: (id: HostId) => boolean): boolean {
    return this.#living(isReachable).length > 0
  }

  noteLetter(now: number, id: HostId): void {
    const worker = this.#workers.get(id)
    if (!worker) return
    this.#decay(now, worker)
    worker.load++
  }

  noteSignOfLife(now: number, id: HostId): void {
    const worker = this.#workers.get(id)
    if (!worker) return
    worker.heardAt = now
    worker.isSilent = false
  }

  /** The worker did not confirm a letter within `silenceMs`. Returns whether it counts as dead: it sent nothing for as long. */
  noteSilence(now: number, id: HostId, silenceMs: number): boolean {
    const worker = this.#workers.get(id)
    if (!worker) return true
    if (now - worker.heardAt >= silenceMs) worker.isSilent = true
    return worker.isSilent
  }

  #living(isReachable: (id: HostId) => boolean): readonly Worker[] {
    return [...this.#workers.values()].filter(({ id, isSilent }) => !isSilent && isReachable(id))
  }

  #decay(now: number, worker: Worker): void {
    worker.load *= 0.5 ** ((now - worker.loadAt) / halfLifeMs)
    worker.loadAt = now
  }
}
