// The wire format of a NAT profile as a zod schema. It checks the fields and renames them as in base/nat-profile.ts.

import { z } from 'zod'
import type { Allocation, NatProfile } from '../base/nat-profile.ts'
import { limits } from './limits.ts'

export function integer(min: number, max: number) {
  return z.int().min(min).max(max)
}

const natCommon = {
  map: z.enum(['none', 'EIM', 'ADM', 'APDM', 'unknown']),
  filter: z.enum(['EIF', 'ADF', 'APDF', 'unknown']),
  life: integer(0, limits.durationMs).optional(),
}
const port = integer(1, 65_535)
const block = z
  .tuple([port, port])
  .refine(([first, last]) => first <= last)
  .optional()
export const natProfile = z
  .discriminatedUnion('alloc', [
    z.object({ ...natCommon, alloc: z.enum(['preserving', 'unknown']) }),
    z.object({ ...natCommon, alloc: z.literal('random'), block }),
    z.object({
      ...natCommon,
      alloc: z.literal('sequential'),
      // With a step of 0 a loop over the ports would never end.
      step: integer(-limits.portStep, limits.portStep).refine((step) => step !== 0),
      block,
    }),
  ])
  .transform(
    (wire): NatProfile => ({
      mapping: wire.map,
      filtering: wire.filter,
      allocation: allocationOf(wire),
      ...(wire.life !== undefined && { lifetimeMs: wire.life }),
    }),
  )

type WireAllocation = {
  readonly alloc: Allocation['type']
  readonly step?: number | undefined
  readonly block?: readonly [number, number] | undefined
}

function allocationOf({ alloc, step, block: bounds }: WireAllocation): Allocation {
  const inside = bounds && { block: { first: bounds[0], last: bounds[1] } }
  if (alloc === 'sequential' && step !== undefined) return { type: alloc, step, ...inside }
  if (alloc === 'random') return { type: alloc, ...inside }
  return { type: alloc === 'preserving' ? alloc : 'unknown' }
}
