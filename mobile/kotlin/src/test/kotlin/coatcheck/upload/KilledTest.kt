package coatcheck.upload

import coatcheck.v1.MediaOuterClass.MediaState.MEDIA_STATE_CONFIRMED
import coatcheck.v1.MediaOuterClass.MediaState.MEDIA_STATE_DELETED
import coatcheck.v1.MediaOuterClass.MediaState.MEDIA_STATE_UPLOADED
import kotlinx.coroutines.delay
import kotlinx.coroutines.runBlocking
import org.junit.jupiter.api.Assertions.assertArrayEquals
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertFalse
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import org.junit.jupiter.params.ParameterizedTest
import org.junit.jupiter.params.provider.ValueSource
import java.io.File
import kotlin.concurrent.thread

class KilledTest {
    @ParameterizedTest
    @ValueSource(strings = ["before the PUT", "during the PUT", "after the PUT", "before saving"])
    fun `an app that was killed goes on where it was`(whenKilled: String) = runBlocking {
        val before = App()
        val upload = before.upload(size = 2_000_000)
        kill(before.folder, upload, whenKilled)

        val app = App(folder = before.folder)
        val pending = app.uploader.pending().single()
        assertEquals(upload.key, pending.key)
        val media = app.uploader.upload(pending)
        assertEquals(pending.mediaId, media.id)
        assertEquals(MEDIA_STATE_UPLOADED, media.state)
        when (whenKilled) {
            "before the PUT", "during the PUT" -> assertEquals(listOf(200), app.puts)
            "after the PUT" -> assertTrue(app.puts.all { it == 412 }, "${app.puts}") // none when it is known to have landed
            else -> assertEquals(emptyList<Int>(), app.puts)
        }
        assertArrayEquals(upload.file.readBytes(), app.content(media.id))
        assertEquals(200, app.claim(media.id, "post/2").first)
    }

    @Test
    fun `an app that was killed after saving saves again`() = runBlocking {
        val before = App()
        val upload = before.upload()
        val media = before.uploader.upload(upload)
        before.claim(media.id, "post/3")

        val app = App(folder = before.folder)
        val again = app.uploader.upload(app.uploader.pending().single())
        assertEquals(media.id, again.id)
        assertEquals(MEDIA_STATE_CONFIRMED, again.state)
        assertEquals(200, app.claim(media.id, "post/3").first)
        assertEquals(emptyList<Int>(), app.puts)
    }

    @Test
    fun `an app that returns after the sweep uploads anew`() = Dev("--claim-window", "1s", "--sweep-interval", "100ms").use { dev ->
        runBlocking {
            val before = App(dev.url)
            val upload = before.upload()
            val media = before.uploader.upload(upload)
            while (before.get(media.id).state != MEDIA_STATE_DELETED) delay(50)

            val app = App(dev.url, before.folder)
            val again = app.uploader.upload(app.uploader.pending().single())
            assertFalse(again.id == media.id)
            assertEquals(listOf(200), app.puts)
        }
    }

    @Test
    fun `a server that restarts while an upload waits loses nothing`() = Dev().use { dev ->
        runBlocking {
            var starting: Thread? = null
            val app = App(dev.url, onPut = { chain ->
                chain.proceed(chain.request()).also {
                    dev.stop()
                    starting = thread { dev.start() }
                }
            })
            assertEquals(MEDIA_STATE_UPLOADED, app.uploader.upload(app.upload()).state)
            starting!!.join()
        }
    }

    private fun kill(folder: File, upload: Upload, whenKilled: String) {
        val java = File(System.getProperty("java.home"), "bin/java").path
        val victim = ProcessBuilder(
            java, "-cp", System.getProperty("java.class.path"), "coatcheck.upload.VictimKt",
            Dev.shared.url, folder.path, upload.key, upload.file.path, whenKilled,
        ).redirectErrorStream(true).start()
        val out = victim.inputStream.reader().readText()
        assertEquals(137, victim.waitFor(), out)
    }
}
