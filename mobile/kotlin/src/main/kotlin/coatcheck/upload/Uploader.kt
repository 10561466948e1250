package coatcheck.upload

import coatcheck.v1.MediaOuterClass.ErrorReason.ERROR_REASON_NOT_FOUND
import coatcheck.v1.MediaOuterClass.Media
import coatcheck.v1.UploadServiceClientInterface
import coatcheck.v1.UploadServiceOuterClass.CancelUploadRequest
import coatcheck.v1.UploadServiceOuterClass.CreateUploadRequest
import coatcheck.v1.UploadServiceOuterClass.CreateUploadResponse
import com.connectrpc.ConnectException
import com.connectrpc.getOrThrow
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.Job
import kotlinx.coroutines.cancelAndJoin
import kotlinx.coroutines.delay
import kotlinx.coroutines.job
import kotlinx.coroutines.withContext
import okhttp3.OkHttpClient
import java.io.IOException
import java.util.concurrent.ConcurrentHashMap

/**
 * Uploads files, so that each succeeds at most once and none is lost when the process is killed. It may be used from any
 * thread, for any number of uploads; an app has one.
 *
 * ```
 * val media = uploader.upload(Upload(draft.uploadKey, file, "image/jpeg")) { sent, total -> … }
 * backend.save(draft, media.id)      // the backend claims the media, in its own transaction
 * uploader.forget(draft.uploadKey)
 * ```
 *
 * Killed at any instant, the app does the same again with the same key: what is done already is found done. On each start it
 * does so for what is [pending].
 *
 * @param service what [uploadService] returned.
 * @param http sends to S3; without interceptors that add headers. It is not the one with the user's credentials.
 */
class Uploader(
    private val service: UploadServiceClientInterface,
    private val store: UploadStore,
    http: OkHttpClient = OkHttpClient(),
    private val patience: Patience = Patience(),
) {
    private val s3 = S3(http)
    private val landing = Landing(service, patience)
    private val running = ConcurrentHashMap<String, Job>()

    /**
     * Uploads a file and returns its media, which has landed. The file is read twice: once for its SHA-256, once to be sent.
     *
     * A cancelled coroutine, such as that of a worker whose network went away, only stops: the next call with the same key goes
     * on, and [cancel] gives up. There is one call at a time for a key.
     *
     * @param onProgress is told of bytes sent, from 0 for each attempt, on a thread of OkHttp's: it returns quickly.
     * @throws UploadException and tells what to do.
     */
    suspend fun upload(upload: Upload, onProgress: (sent: Long, total: Long) -> Unit = { _, _ -> }): Media =
        exclusively(upload.key) {
            store.save(upload.copy(mediaId = store.load(upload.key)?.mediaId.orEmpty()))
            val declared = declare(upload)
            val media = try {
                retrying { attempt(upload, declared, onProgress) }
            } catch (e: UploadException.FileChanged) {
                // What was declared is for another content. Without it the key is free again.
                try { giveUp(upload.key) } catch (also: UploadException) { e.addSuppressed(also) }
                throw e
            }
            landing.await(media.id)
        }

    /**
     * Gives up an upload that nothing has claimed, running or not. It is forgotten even if this throws, because coatcheck cannot
     * be reached: what nobody claims is swept.
     */
    suspend fun cancel(key: String) = withContext(Dispatchers.IO) {
        running[key]?.cancelAndJoin()
        giveUp(key)
    }

    /** Uploads that neither [forget] nor [cancel] ended: call [upload] for each, and save what it returns. */
    suspend fun pending(): List<Upload> = withContext(Dispatchers.IO) { store.all() }

    /** Ends an upload whose media has been saved. */
    suspend fun forget(key: String) = withContext(Dispatchers.IO) { store.remove(key) }

    private fun declare(upload: Upload): CreateUploadRequest = try {
        CreateUploadRequest.newBuilder()
            .setIdempotencyKey(upload.key)
            .setContentType(upload.contentType)
            .setFileName(upload.fileName)
            .setSizeBytes(upload.file.length())
            .setChecksumSha256(sha256(upload.file))
            .build()
    } catch (e: IOException) {
        throw UploadException.FileChanged(upload.file.path, e)
    }

    /** Each attempt asks anew: the same key gets the same media, with a fresh URL, or with none once it has landed. */
    private suspend fun attempt(upload: Upload, declared: CreateUploadRequest, onProgress: (Long, Long) -> Unit): Media {
        val created: CreateUploadResponse = calling { service.createUpload(declared).getOrThrow() }
        store.save(upload.copy(mediaId = created.media.id))
        if (created.hasRequest()) {
            if (upload.file.length() != declared.sizeBytes) throw UploadException.FileChanged(upload.file.path)
            s3.put(created.request, upload.file, declared.sizeBytes, onProgress)
        }
        return created.media
    }

    private suspend fun giveUp(key: String) {
        val id = store.load(key)?.mediaId.orEmpty()
        store.remove(key)
        if (id.isEmpty()) return
        try {
            retrying { calling { service.cancelUpload(CancelUploadRequest.newBuilder().setMediaId(id).build()).getOrThrow() } }
        } catch (e: UploadException.Refused) {
            if (e.info?.reason != ERROR_REASON_NOT_FOUND) throw e // forgotten after its deletion
        }
    }

    private suspend fun <T> retrying(block: suspend () -> T): T {
        var failures = 0
        while (true) {
            try {
                return block()
            } catch (e: UploadException) {
                if (!e.passes || ++failures >= patience.attempts) throw e
            }
            delay(patience.pause(failures))
        }
    }

    private suspend fun <T> calling(block: suspend () -> T): T = try {
        block()
    } catch (e: ConnectException) {
        throw UploadException.refused(e)
    }

    private suspend fun <T> exclusively(key: String, block: suspend () -> T): T = withContext(Dispatchers.IO) {
        val job = coroutineContext.job
        check(running.putIfAbsent(key, job) == null) { "upload $key is running already" }
        try {
            block()
        } finally {
            running.remove(key, job)
        }
    }
}
