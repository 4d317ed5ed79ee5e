import type { VersionedType } from '../schema/app-versions.ts';

/** What the app says of an entity type. */
export interface EntityType<Data extends object = Record<string, unknown>> extends VersionedType {
  /** Where new ones go; the scope of the user where nothing is said. */
  readonly scope?: string;
  /** Any Standard Schema (standardschema.dev): what is written is checked, and typed. */
  readonly schema?: DataSchema<Data>;
}

/** The part of the Standard Schema interface that is used here. */
export interface DataSchema<Data> {
  readonly '~standard': {
    /** Answers with the value as it is stored, or with what is wrong with it. */
    readonly validate: (value: unknown) => SchemaResult<Data> | Promise<SchemaResult<Data>>;
  };
}

type SchemaResult<Data> =
  | { readonly value: Data; readonly issues?: undefined }
  | {
      readonly issues: readonly {
        readonly message: string;
        readonly path?: readonly unknown[] | undefined;
      }[];
    };
