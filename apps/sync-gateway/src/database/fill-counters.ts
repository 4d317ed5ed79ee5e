import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * `mutation.counter` of what was refused before there was such a column. Without it the next change of the
 * same device and entity, which counts the refused one, would wait for it as for one that has not come.
 */
export class FillCounters1764000000970 implements MigrationInterface {
  readonly name = 'FillCounters1764000000970';

  async up(runner: QueryRunner): Promise<void> {
    // One tenant after the other: row level security holds for the owner of the tables, too.
    await runner.query(`
      DO $$
      DECLARE v_tenant text;
      BEGIN
        FOR v_tenant IN SELECT id FROM known_tenant LOOP
          PERFORM set_config('app.tenant', v_tenant, true);
          UPDATE mutation m
            SET counter = coalesce((m.payload::json #>> ARRAY['baseClock', 'd:' || m.device_id])::bigint, 0) + 1
            WHERE m.tenant_id = v_tenant AND m.counter IS NULL AND m.revision IS NULL
              AND m.terminal_at IS NOT NULL AND m.payload IS NOT NULL;
        END LOOP;
        PERFORM set_config('app.tenant', '', true);
      END $$`);
  }

  async down(): Promise<void> {
    // What it filled in goes with the column.
  }
}
