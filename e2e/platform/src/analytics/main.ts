import { readAnalyticsConfig } from './config.ts';
import { startAnalytics } from './start-analytics.ts';

await startAnalytics(readAnalyticsConfig(process.env));
