import type { EntityTypeRegistration } from '@sync/protocol';
import { Column, Entity, PrimaryColumn } from 'typeorm';

/**
 * One registered entity type. Registrations belong to services, not to tenants: no tenant column, no row
 * level security.
 *
 * `spec` is the EntityTypeRegistration as it was sent; the columns beside it are what is asked for by itself.
 */
@Entity('registration')
export class RegistrationEntity {
  @PrimaryColumn('text', { name: 'entity_type' })
  entityType!: string;

  @Column('text')
  service!: string;

  @Column('integer', { name: 'schema_version' })
  schemaVersion!: number;

  /** The version that the service itself registered last; null when only operators have. */
  @Column('integer', { name: 'own_version', nullable: true })
  ownVersion!: number | null;

  @Column('text')
  policy!: string;

  @Column('json')
  spec!: EntityTypeRegistration;

  @Column('timestamptz', { name: 'updated_at' })
  updatedAt!: Date;
}
