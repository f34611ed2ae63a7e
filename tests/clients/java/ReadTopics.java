import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import org.apache.avro.Conversions;
import org.apache.avro.Schema;
import org.apache.avro.generic.GenericData;
import org.apache.avro.generic.GenericDatumReader;
import org.apache.avro.generic.GenericRecord;
import org.apache.avro.io.DecoderFactory;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.Headers;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.StringDeserializer;

/**
 * Reads topics of Headrace, committed records only, and decodes with the writer's schema.
 *
 * <p>Arguments: bootstrap servers, group, numbers of records ("1,31"), topics. With the group "-" all that the topics
 * hold, whatever the numbers. Otherwise for each number a new member of the group, which goes on from its committed
 * offsets (there have to be some: `headrace topology apply` presets those of queues and subscriptions), reads that
 * many and commits. Prints a line of JSON for each record.
 */
public final class ReadTopics {
    private static final Duration LONGEST = Duration.ofSeconds(60);
    private static final Duration POLL = Duration.ofMillis(200);
    private static final GenericData MODEL = new GenericData();

    static {
        MODEL.addLogicalTypeConversion(new Conversions.DecimalConversion());
    }

    private ReadTopics() {}

    public static void main(String[] arguments) throws Exception {
        String bootstrapServers = arguments[0];
        String group = arguments[1];
        List<String> topics = Arrays.asList(arguments).subList(3, arguments.length);
        Catalogue catalogue = Catalogue.read(bootstrapServers);
        for (String count : group.equals("-") ? new String[] {"0"} : arguments[2].split(",")) {
            try (var consumer = open(bootstrapServers, group)) {
                List<ConsumerRecord<String, byte[]>> records = group.equals("-")
                        ? readAll(consumer, topics)
                        : readAsMember(consumer, topics, Integer.parseInt(count));
                for (ConsumerRecord<String, byte[]> each : records) {
                    print(each, catalogue);
                }
            }
        }
    }

    private static KafkaConsumer<String, byte[]> open(String bootstrapServers, String group) {
        Properties settings = new Properties();
        settings.put(ConsumerConfig.BOOTSTRAP_SERVERS_CONFIG, bootstrapServers);
        settings.put(ConsumerConfig.ISOLATION_LEVEL_CONFIG, "read_committed"); // Java's default shows aborted ones
        settings.put(ConsumerConfig.ENABLE_AUTO_COMMIT_CONFIG, "false"); // commits come after the work
        settings.put(ConsumerConfig.AUTO_OFFSET_RESET_CONFIG, "none"); // never guess where to start
        settings.put(ConsumerConfig.MAX_POLL_RECORDS_CONFIG, "1"); // so that a member reads no more than it was told
        if (!group.equals("-")) {
            settings.put(ConsumerConfig.GROUP_ID_CONFIG, group);
        }
        return new KafkaConsumer<>(settings, new StringDeserializer(), new ByteArrayDeserializer());
    }

    private static List<ConsumerRecord<String, byte[]>> readAll(
            KafkaConsumer<String, byte[]> consumer, List<String> topics) {
        List<TopicPartition> partitions = topics.stream()
                .flatMap(topic -> consumer.partitionsFor(topic).stream())
                .map(each -> new TopicPartition(each.topic(), each.partition()))
                .toList();
        consumer.assign(partitions);
        consumer.seekToBeginning(partitions);
        Map<TopicPartition, Long> ends = consumer.endOffsets(partitions);
        List<ConsumerRecord<String, byte[]>> records = new ArrayList<>();
        Instant deadline = Instant.now().plus(LONGEST);
        while (partitions.stream().anyMatch(each -> consumer.position(each) < ends.get(each))) {
            consumer.poll(POLL).forEach(records::add);
            check(deadline, records.size() + " records and not the ends");
        }
        return records;
    }

    private static List<ConsumerRecord<String, byte[]>> readAsMember(
            KafkaConsumer<String, byte[]> consumer, List<String> topics, int count) {
        consumer.subscribe(topics);
        List<ConsumerRecord<String, byte[]>> records = new ArrayList<>();
        Instant deadline = Instant.now().plus(LONGEST);
        while (records.size() < count) {
            consumer.poll(POLL).forEach(records::add);
            check(deadline, records.size() + " of " + count + " records");
        }
        consumer.commitSync();
        return records;
    }

    private static void check(Instant deadline, String reached) {
        if (Instant.now().isAfter(deadline)) {
            throw new IllegalStateException("read " + reached + " in " + LONGEST.toSeconds() + " s");
        }
    }

    static Map<String, String> readable(Headers headers) {
        Map<String, String> found = new LinkedHashMap<>();
        for (Header header : headers) {
            found.put(header.key(), new String(header.value(), StandardCharsets.UTF_8));
        }
        return found;
    }

    private static void print(ConsumerRecord<String, byte[]> record, Catalogue catalogue) throws IOException {
        Map<String, Object> line = new LinkedHashMap<>();
        line.put("topic", record.topic());
        line.put("partition", record.partition());
        line.put("offset", record.offset());
        line.put("key", record.key());
        line.put("value", record.value() == null ? null : HexFormat.of().formatHex(record.value()));
        line.put("headers", readable(record.headers()));
        Schema writer = catalogue.writerOf(record.value());
        line.put("order", writer == null ? null : decode(record.value(), writer).toString());
        System.out.println(new ObjectMapper().writeValueAsString(line));
    }

    private static GenericRecord decode(byte[] value, Schema writer) throws IOException {
        var decoder = DecoderFactory.get().binaryDecoder(value, 5, value.length - 5, null);
        return new GenericDatumReader<GenericRecord>(writer, writer, MODEL).read(null, decoder);
    }
}
