import { type JsonObject, planUpcast, upcastData } from '@sync/domain';
import type { KnownType, TestData } from '../server/entity-types.ts';
import type { Tenant } from '../server/tenant.ts';
import type { Refusal, Work } from './work.ts';

/** The mutation under the registered schemaVersion (PUSH-13), or why it has no way there. */
export function liftWork({ tenantId }: Tenant, type: KnownType, work: Work): Work | Refusal {
  const { mutation } = work;
  const { mutationId, op, schemaVersion = type.schemaVersion, data } = mutation;
  if (schemaVersion === type.schemaVersion || !data || op === 'delete' || op === 'merge') return work;
  const plan = planUpcast(
    type.upcasters.map(({ from }) => ({ from, steps: [] })),
    ...([schemaVersion, type.schemaVersion] as const),
  );
  if (!plan.ok) return { code: 'schema_version_unknown', message: `/schemaVersion: ${plan.missing}` };
  let lifted: TestData = data;
  for (const { from } of plan.chain) {
    const upcaster = type.upcasters.find((each) => each.from === from);
    if (!upcaster) continue;
    if ('steps' in upcaster) {
      lifted = upcastData(lifted as JsonObject, op, upcaster.steps);
      continue;
    }
    const answer = upcaster.upcast(lifted, { tenantId, mutationId, op });
    if (answer.kind === 'rejected') return answer;
    lifted = answer.data ?? {};
  }
  return { ...work, mutation: { ...mutation, data: { ...lifted } }, sentData: data };
}
