package coatcheck.upload

import kotlin.random.Random
import kotlin.time.Duration
import kotlin.time.Duration.Companion.milliseconds
import kotlin.time.Duration.Companion.minutes
import kotlin.time.Duration.Companion.seconds

/**
 * How long to try.
 *
 * @property attempts how often a call or a PUT is tried before the error goes to the caller, who may try again later.
 * @property firstPause pause after the first failure; doubled after each.
 * @property longestPause the longest pause.
 * @property landing how long to wait, after the PUT, until coatcheck knows of it. Notifications take seconds as a rule.
 * @property firstWord how long a watch may take to say its first word, which coatcheck sends at once. Something between
 * that holds streams back is noticed by this.
 * @property silence how long a watch may be silent after that. coatcheck says something every 15 seconds.
 */
data class Patience(
    val attempts: Int = 5,
    val firstPause: Duration = 500.milliseconds,
    val longestPause: Duration = 30.seconds,
    val landing: Duration = 2.minutes,
    val firstWord: Duration = 5.seconds,
    val silence: Duration = 30.seconds,
) {
    /** The pause after a number of failures, from 1: half of it is jitter, so that phones do not return all at once. */
    fun pause(failures: Int, random: Random = Random): Duration {
        val whole = minOf(longestPause, firstPause * (1 shl (failures - 1).coerceIn(0, 20)))
        return whole * (0.5 + random.nextDouble() / 2)
    }
}
