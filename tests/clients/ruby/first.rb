require "orgkeys"

Orgkeys.configure do |config|
  config.scheme, config.host = ENV.fetch("URL").split("://")
  config.access_token = ENV.fetch("TOKEN")
end
org = Orgkeys::PeopleApi.new.get_profile.data.org_id
nodes = Orgkeys::NodesApi.new.list_nodes(org)
puts "nodes: #{nodes.total}"
nodes.data.each { |node| puts "#{node.ip} #{node.status}" }
