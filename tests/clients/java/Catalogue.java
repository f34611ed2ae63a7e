import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import org.apache.avro.Schema;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/** Headrace's catalogue of contracts, read from its topic as docs/reference/catalogue.md describes it. */
final class Catalogue {
    private static final TopicPartition TOPIC = new TopicPartition("headrace.schemas", 0);
    private static final int MAGIC = 0;

    private final Map<Integer, Schema> schemas = new HashMap<>();
    private final Map<String, Integer> newestIds = new HashMap<>();

    /** Reads all of it, committed versions only. */
    static Catalogue read(String bootstrapServers) throws IOException {
        Properties settings = new Properties();
        settings.put(ConsumerConfig.BOOTSTRAP_SERVERS_CONFIG, bootstrapServers);
        settings.put(ConsumerConfig.ISOLATION_LEVEL_CONFIG, "read_committed");
        Catalogue catalogue = new Catalogue();
        var bytes = new ByteArrayDeserializer();
        try (var consumer = new KafkaConsumer<>(settings, bytes, bytes)) {
            consumer.assign(List.of(TOPIC));
            consumer.seekToBeginning(List.of(TOPIC));
            long end = consumer.endOffsets(List.of(TOPIC)).get(TOPIC);
            while (consumer.position(TOPIC) < end) {
                for (ConsumerRecord<byte[], byte[]> entry : consumer.poll(Duration.ofMillis(500))) {
                    catalogue.add(new ObjectMapper().readTree(entry.value()));
                }
            }
        }
        return catalogue;
    }

    private void add(JsonNode version) {
        int id = version.get("id").asInt();
        schemas.put(id, new Schema.Parser().parse(version.get("schema").toString()));
        newestIds.put(version.get("subject").asText(), id);
    }

    /** Id of the newest version of a contract, by its full name. */
    int newestId(String subject) {
        if (!newestIds.containsKey(subject)) {
            throw new IllegalArgumentException(subject + " is not registered; run `headrace topology apply`");
        }
        return newestIds.get(subject);
    }

    Schema schema(int id) {
        return schemas.get(id);
    }

    /** Confluent's framing: a magic byte, the id of the writer's schema, Avro. */
    static byte[] framed(int id, byte[] avro) {
        return ByteBuffer.allocate(5 + avro.length).put((byte) MAGIC).putInt(id).put(avro).array();
    }

    /** The writer's schema of a framed value; null where it is not framed, or its id unknown. */
    Schema writerOf(byte[] value) {
        boolean framed = value != null && value.length >= 5 && value[0] == MAGIC;
        return framed ? schemas.get(ByteBuffer.wrap(value, 1, 4).getInt()) : null;
    }
}
