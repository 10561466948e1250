package coatcheck.upload

import coatcheck.v1.MediaOuterClass.ErrorReason.ERROR_REASON_IDEMPOTENCY_MISMATCH
import coatcheck.v1.MediaOuterClass.ErrorReason.ERROR_REASON_INVALID_FIELD
import coatcheck.v1.MediaOuterClass.MediaState.MEDIA_STATE_CONFIRMED
import coatcheck.v1.MediaOuterClass.MediaState.MEDIA_STATE_UPLOADED
import kotlinx.coroutines.async
import kotlinx.coroutines.awaitAll
import kotlinx.coroutines.delay
import kotlinx.coroutines.runBlocking
import okhttp3.Protocol
import org.junit.jupiter.api.Assertions.assertArrayEquals
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertFalse
import org.junit.jupiter.api.Assertions.assertThrows
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import org.junit.jupiter.params.ParameterizedTest
import org.junit.jupiter.params.provider.ValueSource
import java.io.File
import java.util.concurrent.CopyOnWriteArrayList
import kotlin.time.Duration.Companion.minutes

class UploaderTest {
    @Test
    fun `uploads with progress, and the backend claims`() = runBlocking {
        val app = App()
        val upload = app.upload(size = 3_000_000)
        val progress = CopyOnWriteArrayList<Long>()
        val media = app.uploader.upload(upload) { sent, total ->
            assertEquals(3_000_000, total)
            progress += sent
        }

        assertEquals(MEDIA_STATE_UPLOADED, media.state)
        assertEquals("coat.jpg", media.fileName)
        assertEquals(0, progress.first())
        assertEquals(3_000_000, progress.last())
        assertEquals(progress.sorted(), progress)
        assertTrue(progress.size > 10, "told ${progress.size} times")
        assertArrayEquals(upload.file.readBytes(), app.content(media.id))

        assertEquals(200, app.claim(media.id, "post/1").first)
        assertEquals(MEDIA_STATE_CONFIRMED, app.get(media.id).state)
        app.uploader.forget(upload.key)
        assertEquals(emptyList<Upload>(), app.uploader.pending())
    }

    @ParameterizedTest
    @ValueSource(strings = ["image/jpeg", "text/plain", "text/plain; charset=utf-8", "application/octet-stream"])
    fun `sends the signed headers as they are`(type: String) = runBlocking {
        val app = App()
        val media = app.uploader.upload(app.upload(size = 70_000, type = type))
        val sent = app.sent.single()
        assertEquals(type, sent["Content-Type"])
        assertEquals("*", sent["If-None-Match"])
        assertEquals(media.checksumSha256, sent["x-amz-checksum-sha256"])
        assertEquals("70000", sent["Content-Length"])
        // And what OkHttp adds, none of which is signed or means anything to S3.
        val added = sent.names().map { it.lowercase() } - setOf("content-type", "if-none-match", "x-amz-checksum-sha256", "content-length")
        assertEquals(setOf("host", "connection", "accept-encoding", "user-agent"), added.toSet())
    }

    @ParameterizedTest
    @ValueSource(strings = ["http/1.1", "h2_prior_knowledge"])
    fun `hears of the landing by a watch`(protocol: String): Unit = runBlocking {
        val app = App(protocols = listOf(Protocol.get(protocol)))
        app.uploader.upload(app.upload())
        assertEquals(listOf("CreateUpload", "WatchUpload"), app.calls)
    }

    // OkHttp makes 5 calls to a host at a time. Were watches among them, five of them would keep the others from going on.
    @Test
    fun `watches do not hold up other uploads`() = runBlocking {
        lateinit var app: App
        app = App(patience = quick.copy(firstWord = 1.minutes), onCall = { chain ->
            while (isWatch(chain) && app.puts.size < 12 && !chain.call().isCanceled()) Thread.sleep(5)
            chain.proceed(chain.request())
        })
        fun upload(n: Int) = async { app.uploader.upload(app.upload(name = "$n.jpg")) }
        val watching = List(5, ::upload)
        while (app.calls.count { it == "WatchUpload" } < 5) delay(5)
        (watching + List(7) { upload(5 + it) }).awaitAll()
        assertFalse("GetUpload" in app.calls)
    }

    @Test
    fun `the same key is the same upload`() = runBlocking {
        val app = App()
        val upload = app.upload()
        val media = app.uploader.upload(upload)
        assertEquals(media.id, app.uploader.upload(upload).id)
        assertEquals(listOf(200), app.puts)
    }

    @Test
    fun `a key is not for two contents`() = runBlocking {
        val app = App()
        val upload = app.upload()
        val media = app.uploader.upload(upload)
        upload.file.appendText("more")
        val refused = assertThrows(UploadException.Refused::class.java) { runBlocking { app.uploader.upload(upload) } }
        assertEquals(ERROR_REASON_IDEMPOTENCY_MISMATCH, refused.info?.reason)
        assertFalse(refused.passes)

        app.uploader.cancel(upload.key) // as the error says
        assertFalse(app.uploader.upload(upload).id == media.id)
    }

    @Test
    fun `a refused field is named`() = runBlocking {
        val app = App()
        val refused = assertThrows(UploadException.Refused::class.java) { runBlocking { app.uploader.upload(app.upload(size = 0)) } }
        assertEquals(ERROR_REASON_INVALID_FIELD, refused.info?.reason)
        assertEquals("size_bytes.min", refused.info?.rule)
        assertFalse(refused.passes)
        assertEquals(listOf("CreateUpload"), app.calls)
    }

    @Test
    fun `a file that is not there is an error that does not pass`() = runBlocking {
        val app = App()
        val upload = app.upload().copy(file = File(app.folder, "gone.jpg"))
        assertFalse(assertThrows(UploadException.FileChanged::class.java) { runBlocking { app.uploader.upload(upload) } }.passes)
        assertEquals(emptyList<String>(), app.calls)
    }
}
