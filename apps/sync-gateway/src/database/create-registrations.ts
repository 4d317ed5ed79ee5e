import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * What services registered; see registration/registration-entity.ts. One row per entity type, so a type has
 * one owner.
 */
export class CreateRegistrations1764000000300 implements MigrationInterface {
  readonly name = 'CreateRegistrations1764000000300';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE registration (
        entity_type text PRIMARY KEY,
        service text NOT NULL,
        schema_version integer NOT NULL,
        policy text NOT NULL,
        spec jsonb NOT NULL,
        updated_at timestamptz NOT NULL DEFAULT now()
      );
      CREATE INDEX registration_service ON registration (service);`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP TABLE registration');
  }
}
