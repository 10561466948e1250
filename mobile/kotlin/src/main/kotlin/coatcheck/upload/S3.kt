package coatcheck.upload

import coatcheck.v1.MediaOuterClass.PresignedRequest
import okhttp3.OkHttpClient
import okhttp3.Request
import okhttp3.RequestBody
import okhttp3.coroutines.executeAsync
import okio.BufferedSink
import okio.HashingSink.Companion.sha256
import okio.blackholeSink
import okio.buffer
import okio.source
import java.io.File
import java.io.IOException
import java.time.Duration

/** The SHA-256 of a file in base64, read piece by piece. */
internal fun sha256(file: File): String = sha256(blackholeSink()).use { sum ->
    sum.buffer().use { it.writeAll(file.source()) }
    sum.hash.base64()
}

/** Sends files by presigned requests. [http] adds nothing to a request: S3 refuses an `Authorization` beside a signed URL. */
internal class S3(http: OkHttpClient) {
    // S3 answers when it has the whole file and has summed it up; 10 s are too short for a large one.
    private val http = http.newBuilder().readTimeout(Duration.ofMinutes(1)).writeTimeout(Duration.ofMinutes(1)).build()

    /**
     * Sends a file, and returns when S3 has it. That it has it already (412) is the same: nothing else can be there, since the
     * object's key is this media's alone, and the signature names size and SHA-256.
     */
    suspend fun put(presigned: PresignedRequest, file: File, size: Long, onProgress: (sent: Long, total: Long) -> Unit) {
        val request = Request.Builder().url(presigned.url).method(presigned.method, FileBody(file, size, onProgress))
        for ((name, value) in presigned.headersMap) request.header(name, value)
        val (status, body) = try {
            http.newCall(request.build()).executeAsync().use { it.code to it.peekBody(4096).string() }
        } catch (e: IOException) {
            throw UploadException.Interrupted("sending to S3 failed", e)
        }
        val code = element(body, "Code")
        val message = element(body, "Message")
        throw when {
            status in 200..299 || status == 412 -> return
            // The URL, or the credentials that signed it. AccessDenied has other causes too, which do not pass.
            code == "AccessDenied" && message == "Request has expired" || code == "ExpiredToken" -> UploadException.Expired()
            // Another attempt is still arriving; the next one finds it there.
            status == 409 -> UploadException.Interrupted("two attempts met at S3 ($code)")
            // 400 RequestTimeout: the connection stood still for too long.
            status >= 500 || status == 429 || status == 408 || code == "RequestTimeout" ->
                UploadException.Interrupted("S3 answered with status $status, $code")
            code == "BadDigest" -> UploadException.FileChanged(file.path)
            else -> UploadException.S3Refused(status, code, message)
        }
    }

    // The rest of the answer is left out: it repeats parts of the signed request.
    private fun element(body: String, name: String) = Regex("<$name>([^<]*)</$name>").find(body)?.groupValues?.get(1).orEmpty()
}

/** A file as a body, never in memory as a whole. OkHttp may send it again from its beginning. */
private class FileBody(val file: File, val size: Long, val onProgress: (sent: Long, total: Long) -> Unit) : RequestBody() {
    // What this returned would take the place of the signed Content-Type.
    override fun contentType() = null

    override fun contentLength() = size

    override fun writeTo(sink: BufferedSink) {
        file.source().use { source ->
            var sent = 0L
            onProgress(sent, size)
            while (sent < size) {
                val piece = minOf(PIECE, size - sent)
                sink.write(source, piece) // fails if the file has become shorter
                sent += piece
                onProgress(sent, size)
            }
        }
    }

    private companion object {
        const val PIECE = 64L shl 10
    }
}
