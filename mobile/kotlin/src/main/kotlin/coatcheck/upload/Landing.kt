package coatcheck.upload

import coatcheck.v1.MediaOuterClass.Media
import coatcheck.v1.MediaOuterClass.MediaState.MEDIA_STATE_CONFIRMED
import coatcheck.v1.MediaOuterClass.MediaState.MEDIA_STATE_DELETED
import coatcheck.v1.MediaOuterClass.MediaState.MEDIA_STATE_DELETING
import coatcheck.v1.MediaOuterClass.MediaState.MEDIA_STATE_UPLOADED
import coatcheck.v1.UploadServiceClientInterface
import coatcheck.v1.UploadServiceOuterClass.GetUploadRequest
import coatcheck.v1.UploadServiceOuterClass.WatchUploadRequest
import com.connectrpc.ConnectException
import com.connectrpc.getOrThrow
import kotlinx.coroutines.delay
import kotlinx.coroutines.withTimeoutOrNull

/** Waits until coatcheck knows that media have landed. */
internal class Landing(private val service: UploadServiceClientInterface, private val patience: Patience) {
    /**
     * Returns the media once it has landed. It watches, and asks each time a watch ends without an answer: because the
     * process at the other end stopped, or a proxy lets no stream through.
     */
    suspend fun await(id: String): Media = withTimeoutOrNull(patience.landing) {
        var failures = 0
        while (true) {
            val media = watch(id) ?: ask(id)
            if (media != null) return@withTimeoutOrNull media
            delay(patience.pause(++failures))
        }
        @Suppress("UNREACHABLE_CODE")
        null
    } ?: throw UploadException.NotNotified(id)

    private suspend fun watch(id: String): Media? {
        val stream = service.watchUpload()
        try {
            stream.sendAndClose(WatchUploadRequest.newBuilder().addMediaIds(id).build()).onFailure { return null }
            var wait = patience.firstWord
            while (true) {
                val word = withTimeoutOrNull(wait) { stream.responseChannel().receiveCatching() }?.getOrNull() ?: return null
                if (word.hasMedia() && landed(word.media)) return word.media
                wait = patience.silence
            }
        } finally {
            stream.responseChannel().cancel() // ends the call
        }
    }

    private suspend fun ask(id: String): Media? = try {
        service.getUpload(GetUploadRequest.newBuilder().setMediaId(id).build()).getOrThrow().media.takeIf(::landed)
    } catch (e: ConnectException) {
        val refused = UploadException.refused(e)
        if (!refused.passes) throw refused
        null
    }

    private fun landed(media: Media): Boolean = when (media.state) {
        MEDIA_STATE_UPLOADED, MEDIA_STATE_CONFIRMED -> true
        MEDIA_STATE_DELETING, MEDIA_STATE_DELETED -> throw UploadException.Gone(media.id, media.deleteReason)
        else -> false
    }
}
