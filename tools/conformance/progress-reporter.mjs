/** What Jest says of its progress while the command runs checks: a line a file. The report has the rest. */
import { basename } from 'node:path';

export default class ProgressReporter {
  #startedMs = performance.now();

  onTestResult(test, { numPassingTests, numFailingTests }) {
    const seconds = ((performance.now() - this.#startedMs) / 1000).toFixed(1).padStart(5);
    const others = numFailingTests === 0 ? '' : `, ${numFailingTests} failed or not checked here`;
    process.stdout.write(`[${seconds} s] ${basename(test.path)}: ${numPassingTests} passed${others}\n`);
  }
}
