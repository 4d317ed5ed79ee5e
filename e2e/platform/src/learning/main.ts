import { readLearningConfig } from './config.ts';
import { startLearning } from './start-learning.ts';

await startLearning(readLearningConfig(process.env));
