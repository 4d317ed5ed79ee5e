import { validator } from '@sync/protocol';
import { Statement } from '../learning/statement/statement-schema.ts';
import { COURSES, bundleOf, courseText } from './course-texts.ts';
import { generateStatement, generateStatements } from './xapi-statements.ts';

describe('generated statements', () => {
  it('are xAPI 1.0.3 statements with ids of their own', () => {
    const statements = generateStatements(7, 2_000);
    const check = validator(Statement);
    expect(statements.map((statement) => check(statement)).filter(({ ok }) => !ok)).toEqual([]);
    expect(new Set(statements.map(({ id }) => id)).size).toBe(2_000);
    expect(new Set(statements.map(({ verb }) => verb.id)).size).toBe(8);
  });

  it('are the same for the same seed, each without the ones before it', () => {
    expect(generateStatement(3, 41)).toEqual(generateStatements(3, 50)[41]);
    expect(generateStatement(3, 41)).not.toEqual(generateStatement(4, 41));
    expect(generateStatement(3, 0).id).toMatchInlineSnapshot(`"28cee5fb-e9c6-47a8-8997-df3450b17a23"`);
  });

  it('belong to one course and registration per learner', () => {
    const statements = generateStatements(11, 100);
    expect(new Set(statements.map(({ context }) => context.registration)).size).toBe(1);
    expect(new Set(statements.map(({ context }) => context.contextActivities.grouping[0]?.id)).size).toBe(1);
  });
});

describe('course texts', () => {
  it.each(COURSES)('of $courseId are long, varied and repeatable', (course) => {
    const text = courseText(course, 1, 3_000);
    expect(text.split(/\s+/).length).toBeGreaterThanOrEqual(3_000);
    expect(courseText(course, 1, 3_000)).toBe(text);
    expect(courseText(course, 2, 3_000)).not.toBe(text);
    expect(bundleOf(course).files).toHaveLength(course.pages);
  });
});
