package coatcheck.upload

import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertNull
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import java.io.File
import kotlin.random.Random
import kotlin.time.Duration.Companion.milliseconds
import kotlin.time.Duration.Companion.seconds

class KeepingTest {
    @Test
    fun `the store keeps what it was given, whatever the key`() {
        val folder = newFolder()
        val uploads = listOf("a", "../b", "c/d", "=", "é is not allowed, and harms nobody", "k".repeat(128)).map {
            Upload(it, File("/photos/ü b=c.jpg"), "text/plain; charset=utf-8", "Müller #1.jpg", "id of $it")
        }
        uploads.forEach(FileUploadStore(folder)::save)
        val again = FileUploadStore(folder)
        assertEquals(uploads.toSet(), again.all().toSet())
        for (u in uploads) assertEquals(u, again.load(u.key))

        again.save(uploads[0].copy(mediaId = "another"))
        assertEquals("another", again.load("a")?.mediaId)
        again.remove("a")
        again.remove("a")
        assertNull(again.load("a"))
        assertEquals(uploads.size - 1, again.all().size)
    }

    @Test
    fun `the store passes over what a loss of power cut off`() {
        val folder = newFolder()
        val store = FileUploadStore(folder)
        store.save(Upload("a", File("/a"), "image/jpeg"))
        folder.listFiles()!!.single().writeText("")
        File(folder, "upload1.part").writeText("key=b")
        assertNull(store.load("a"))
        assertEquals(emptyList<Upload>(), store.all())
    }

    @Test
    fun `there is nothing in a folder that is not there`() {
        val store = FileUploadStore(File(newFolder(), "none"))
        assertEquals(emptyList<Upload>(), store.all())
        assertNull(store.load("a"))
    }

    @Test
    fun `pauses double up to the longest, and half is jitter`() {
        val patience = Patience(firstPause = 100.milliseconds, longestPause = 1.seconds)
        for ((failures, whole) in listOf(1 to 100, 2 to 200, 3 to 400, 4 to 800, 5 to 1000, 6 to 1000, 1000 to 1000)) {
            val pauses = List(200) { patience.pause(failures, Random(it)).inWholeMilliseconds }
            assertTrue(pauses.all { it in whole / 2..whole }, "after $failures: $pauses")
            assertTrue(pauses.toSet().size > 20, "no jitter after $failures")
        }
    }

    @Test
    fun `the SHA-256 is that of the file`() {
        val file = File(newFolder(), "f").apply { writeText("hello") }
        assertEquals("LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=", sha256(file))
    }
}
