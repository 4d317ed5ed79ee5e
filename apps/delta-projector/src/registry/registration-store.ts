import type { Database } from '@sync/postgres';
import type { RegisteredEntityType } from '@sync/protocol';

/** The projector's own copy of the registrations: what it works from while the gateway is away. */
export async function readRegistrations(database: Pick<Database, 'call'>): Promise<RegisteredEntityType[]> {
  const rows = await database.call<{ service: string; registration: Omit<RegisteredEntityType, 'service'> }>(
    'read_registrations',
    'SELECT service, registration FROM registration_copy ORDER BY entity_type',
    [],
  );
  return rows.map(({ service, registration }) => ({ ...registration, service }));
}

/** Replaces the copies that differ. */
export async function saveRegistrations(
  database: Pick<Database, 'call'>,
  types: readonly RegisteredEntityType[],
  now: Date,
): Promise<void> {
  await database.call(
    'save_registrations',
    `INSERT INTO registration_copy AS c (entity_type, service, registration, changed_at)
     SELECT r.type, r.service, r.registration, $2
     FROM json_to_recordset($1::json) AS r (type text, service text, registration json) ORDER BY r.type
     ON CONFLICT (entity_type) DO UPDATE SET service = excluded.service,
       registration = excluded.registration, changed_at = $2
     WHERE c.service <> excluded.service OR c.registration::text <> excluded.registration::text`,
    [
      JSON.stringify(
        types.map(({ service, ...registration }) => ({
          type: registration.entityType,
          service,
          registration,
        })),
      ),
      now,
    ],
  );
}
