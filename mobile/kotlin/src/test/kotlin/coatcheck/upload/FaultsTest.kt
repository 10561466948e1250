package coatcheck.upload

import coatcheck.v1.MediaOuterClass.DeleteReason.DELETE_REASON_CANCELLED
import coatcheck.v1.MediaOuterClass.MediaState.MEDIA_STATE_PENDING
import coatcheck.v1.MediaOuterClass.MediaState.MEDIA_STATE_UPLOADED
import kotlinx.coroutines.CancellationException
import kotlinx.coroutines.CompletableDeferred
import kotlinx.coroutines.async
import kotlinx.coroutines.runBlocking
import okhttp3.Interceptor
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertFalse
import org.junit.jupiter.api.Assertions.assertThrows
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import org.junit.jupiter.params.ParameterizedTest
import org.junit.jupiter.params.provider.CsvSource
import java.io.File
import java.io.IOException
import kotlin.time.Duration.Companion.milliseconds

class FaultsTest {
    @Test
    fun `an expired URL is replaced by a fresh one`() = Dev("--url-ttl", "1s").use { dev ->
        runBlocking {
            val app = App(dev.url, onPut = first { chain ->
                Thread.sleep(2500) // longer than the URL's life, and whole seconds are rounded
                chain.proceed(chain.request())
            })
            val media = app.uploader.upload(app.upload())
            assertEquals(listOf(403, 200), app.puts)
            assertEquals(MEDIA_STATE_UPLOADED, media.state)
        }
    }

    @Test
    fun `a replay that S3 answers with 412 is a success`() = runBlocking {
        val app = App(onPut = { chain ->
            chain.proceed(chain.request()).close() // as when the answer is lost, and OkHttp sends the request once more
            chain.proceed(chain.request())
        })
        assertEquals(MEDIA_STATE_UPLOADED, app.uploader.upload(app.upload()).state)
        assertEquals(listOf(412), app.puts)
    }

    @Test
    fun `a lost answer is not a lost upload`() = runBlocking {
        val app = App(onPut = first { chain ->
            chain.proceed(chain.request()).close()
            throw IOException("connection reset")
        })
        assertEquals(MEDIA_STATE_UPLOADED, app.uploader.upload(app.upload()).state)
        assertTrue(app.puts.all { it == 412 }, "${app.puts}") // or none, when it is known to have landed
    }

    @ParameterizedTest
    @CsvSource("503, SlowDown", "500, InternalError", "409, ConditionalRequestConflict", "400, RequestTimeout", "429, TooManyRequests")
    fun `S3 is asked again after`(status: Int, code: String) = runBlocking {
        val app = App(onPut = first { answer(it, status, code) })
        assertEquals(MEDIA_STATE_UPLOADED, app.uploader.upload(app.upload()).state)
        assertEquals(listOf(status, 200), app.puts)
    }

    @Test
    fun `what goes on failing is handed to the caller, and kept`() = runBlocking {
        val app = App(onPut = { throw IOException("no network") })
        val upload = app.upload()
        assertTrue(assertThrows(UploadException.Interrupted::class.java) { runBlocking { app.uploader.upload(upload) } }.passes)
        assertEquals(quick.attempts, app.calls.count { it == "CreateUpload" })

        val kept = app.uploader.pending().single()
        val media = App(folder = app.folder).uploader.upload(kept)
        assertEquals(kept.mediaId, media.id)
    }

    @Test
    fun `calls are tried again too`() = runBlocking {
        val app = App(onCall = first { throw IOException("no network") })
        assertEquals(MEDIA_STATE_UPLOADED, app.uploader.upload(app.upload()).state)
        assertEquals(2, app.calls.count { it == "CreateUpload" })
    }

    @Test
    fun `a file that changes while it is sent is told, and its key is free again`() = runBlocking {
        val folder = newFolder()
        val app = App(folder = folder, onPut = first { chain ->
            File(folder, "coat.jpg").run { writeBytes(readBytes().also { it[0] = (it[0] + 1).toByte() }) }
            chain.proceed(chain.request())
        })
        val upload = app.upload()
        assertFalse(assertThrows(UploadException.FileChanged::class.java) { runBlocking { app.uploader.upload(upload) } }.passes)
        assertEquals(listOf(400), app.puts)
        assertEquals(emptyList<Upload>(), app.uploader.pending())

        assertEquals(MEDIA_STATE_UPLOADED, app.uploader.upload(upload).state)
    }

    @Test
    fun `a header that something adds is told`() = runBlocking {
        val app = App(onPut = { it.proceed(it.request().newBuilder().header("x-amz-meta-proxy", "1").build()) })
        val refused = assertThrows(UploadException.S3Refused::class.java) { runBlocking { app.uploader.upload(app.upload()) } }
        assertEquals(403, refused.status)
        assertFalse(refused.passes)
        assertFalse(refused.message!!.contains("X-Amz-Signature"))
        assertEquals(listOf(403), app.puts)
    }

    @Test
    fun `cancelling a running upload gives it up`() = runBlocking {
        val begun = CompletableDeferred<Unit>()
        val app = App(onPut = { chain -> hang(chain, begun) })
        val upload = app.upload()
        val running = async { runCatching { app.uploader.upload(upload) } }
        begun.await()
        val id = app.uploader.pending().single().mediaId
        app.uploader.cancel(upload.key)
        assertTrue(running.await().exceptionOrNull() is CancellationException)
        assertEquals(DELETE_REASON_CANCELLED, app.get(id).deleteReason)
        assertEquals(emptyList<Upload>(), app.uploader.pending())
    }

    @Test
    fun `a stopped worker's upload goes on later`() = runBlocking {
        val begun = CompletableDeferred<Unit>()
        val app = App(onPut = first { chain -> hang(chain, begun) })
        val upload = app.upload()
        val worker = async { app.uploader.upload(upload) }
        begun.await()
        worker.cancel()
        val id = app.uploader.pending().single().mediaId
        assertEquals(MEDIA_STATE_PENDING, app.get(id).state)
        runCatching { worker.await() }
        assertEquals(id, app.uploader.upload(upload).id)
    }

    @Test
    fun `without streams it asks`() = runBlocking {
        val app = App(onCall = { if (isWatch(it)) answer(it, 404) else it.proceed(it.request()) })
        assertEquals(MEDIA_STATE_UPLOADED, app.uploader.upload(app.upload()).state)
        assertTrue("GetUpload" in app.calls)
    }

    @Test
    fun `a proxy that holds streams back is noticed`() = runBlocking {
        val app = App(
            patience = quick.copy(firstWord = 100.milliseconds),
            onCall = { if (isWatch(it)) hang(it, CompletableDeferred()) else it.proceed(it.request()) },
        )
        assertEquals(MEDIA_STATE_UPLOADED, app.uploader.upload(app.upload()).state)
        assertTrue("GetUpload" in app.calls)
    }

    @Test
    fun `what was sent and never heard of may be saved, or tried again`() = runBlocking {
        val app = App(patience = quick.copy(landing = 300.milliseconds), onPut = { answer(it, 200) })
        val upload = app.upload()
        val unknown = assertThrows(UploadException.NotNotified::class.java) { runBlocking { app.uploader.upload(upload) } }
        assertTrue(unknown.passes)
        assertEquals(unknown.mediaId, app.uploader.pending().single().mediaId)
        assertEquals(unknown.mediaId, App(folder = app.folder).uploader.upload(upload).id)
    }

    /** Stands still until the call is cancelled. */
    private fun hang(chain: Interceptor.Chain, begun: CompletableDeferred<Unit>): Nothing {
        begun.complete(Unit)
        while (!chain.call().isCanceled()) Thread.sleep(5)
        throw IOException("Canceled")
    }
}
